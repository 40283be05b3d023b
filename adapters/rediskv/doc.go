// Package rediskv keeps cached values in Redis, where other processes of Gaia find them.
//
// Redis is an optional part: nothing here may fail a request or make it wait noticeably. A watcher in the background knows whether
// Redis answers, and calls return at once while it does not. The package must not decide what is cached or for how long.
package rediskv
