// Package e2e tests the gaia program from the outside: what clients see, over a socket, on every backend.
//
// It holds tests only. It must not look into a database or a package of gaia to find out whether something worked.
package e2e
