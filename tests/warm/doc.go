// Package warm joins the use cases, both tiers of the cache, the bus and PostgreSQL as the program does, and asks the database how
// often it was really asked.
//
// It holds tests only. What clients can see belongs in tests/e2e.
package warm
