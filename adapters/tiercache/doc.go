// Package tiercache is the cache that use cases see: decoded values in the memory of the process, before an optional remote cache
// that all processes share, with an optional bus on which they tell each other what has changed.
//
// It decides which of the two tiers may be believed at any moment. It must not know what technology stands behind them, and it is
// never the truth: without any of them every Fetch loads.
package tiercache
