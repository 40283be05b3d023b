// Package outbox holds the test of everything that stands between a commit and the stream of events: real databases, a real NATS server, and
// processes that are killed between sending and forgetting. It must not look into any of them: what counts is what the stream holds at the end.
package outbox
