// Package app holds the use cases: one struct for each capability, one exported method for each thing a client can ask for. Every
// method authorises, decides or combines.
//
// It must not know about HTTP, SQL, a cache technology or a provider, and takes time, ids and everything outside through ports.
package app
