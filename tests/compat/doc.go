// Package compat holds docs/compatibility.md to what is so: the contract, and the gaia program as it runs.
//
// It holds tests only. It must not know more about gaia than a reader of the documents and a client do.
package compat
