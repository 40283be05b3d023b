// Package arch holds the rules about which package may import what, and the
// test that enforces them. It has no code that anything could import.
package arch
