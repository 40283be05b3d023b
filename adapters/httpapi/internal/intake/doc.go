// Package intake judges what clients send against the contract. It reports every fault at once in the words that clients of the old
// platform parse, and turns values that the old platform accepted, such as "5" for an integer, into what the contract says.
//
// Each operation's schemas are compiled once into rules; a body is then read in one pass over its bytes, without a decoded copy. The
// package must not know about requests, handlers or storage, and must not accept a schema keyword that it does not enforce.
package intake
