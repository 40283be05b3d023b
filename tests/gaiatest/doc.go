// Package gaiatest runs the gaia program the way an operator does, as a process of its own, and talks to it the way a client does,
// over a socket. Its client checks every answer against the contract: status, headers, body, and each event of an event stream.
//
// It is for tests only. It must not import an adapter or a use case: what it can't see over the socket, clients can't either.
package gaiatest
