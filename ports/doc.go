// Package ports names what the use cases need from the world, in the words of the need. Every "must" in a comment here has a
// test of the same name in ports/portstest, and every adapter passes them against the real thing.
//
// It must not name a technology, and it holds interfaces and their data only.
package ports
