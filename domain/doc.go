// Package domain holds what is true about Gaia without any technology: principals, personas, conversations,
// models, usage, events and errors, with the rules that keep them valid.
//
// It imports the standard library only. It must not know about HTTP, SQL, caches or providers, must not read the clock or the
// environment, and must not log.
package domain
