// Package sdkcompare holds tests only: they compare the client in adapters/openai with OpenAI's own. They stand apart because the
// official package takes minutes to compile, which neither the other tests nor fuzzing should have to wait for.
//
// It must hold nothing that a program could import.
package sdkcompare
