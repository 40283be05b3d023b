// Package sdkcompare holds tests only: they compare the client in adapters/anthropic with Anthropic's own. They stand apart because
// the official package takes long to compile, which the other tests should not have to wait for.
//
// It must hold nothing that a program could import.
package sdkcompare
