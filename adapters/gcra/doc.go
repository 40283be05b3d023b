// Package gcra limits requests over time: in the process alone (Local), or together with other processes through a shared limiter,
// with the process's own as what goes on when that one is away (Limiter). It must not wait for anything itself.
package gcra
