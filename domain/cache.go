package domain

// CacheCounts says what a cache has done for one space of keys since the process started, and what of it is in memory now.
type CacheCounts struct {
	LocalHits     uint64 // answered from the memory of the process
	RemoteHits    uint64 // found in the remote cache
	NegativeHits  uint64 // known not to be there
	Shared        uint64 // waited for what another caller had asked for just before
	Loads         uint64 // had to ask the store, those below included
	NotFound      uint64 // loads of what is not there
	LoadErrors    uint64 // loads that failed in any other way
	Bypasses      uint64 // loads that could not ask the remote cache first, because it is away, slow, or owed an invalidation
	Evictions     uint64 // entries that had to go for others
	Invalidations uint64 // keys and whole spaces that were dropped, here or by other processes
	Entries       int64
	Bytes         int64
}

// RemoteCounts says how the remote cache has answered since the process started.
type RemoteCounts struct {
	Up       bool   // answers now, and fast enough
	Calls    uint64 // that were sent, those below included
	Failures uint64 // calls without an answer in time
	Slow     uint64 // calls answered in time, but not fast
	Skipped  uint64 // calls that were not made, because it was known to be away or slow
	Outages  uint64 // how often it was found to be away or slow
}
