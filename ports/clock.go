package ports

import "time"

// Clock tells the time, so that tests can decide it.
type Clock func() time.Time

// IDs makes new ids: canonical, time-ordered UUIDs (version 7).
type IDs func() string
