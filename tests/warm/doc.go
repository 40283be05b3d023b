// Package warm asks the database how often it was really asked: by the use cases with both tiers of the cache and the bus, and by the whole
// program for the requests of a day. It also measures how long requests wait for a Redis that is slow.
//
// It holds tests only. What clients can see belongs in tests/e2e.
package warm
