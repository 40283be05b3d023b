package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// starts is how often each kind of start is timed.
const starts = 7

// startTimes are times from exec to the first 200 of /readyz.
type startTimes struct {
	first []time.Duration // with an empty data folder: the schema, the bus and the default persona are made
	later []time.Duration // with the data of an earlier start
}

func measureStarts(ctx context.Context, gaia, dir string) (startTimes, error) {
	var t startTimes
	for i := range starts {
		took, err := startOnce(ctx, gaia, filepath.Join(dir, fmt.Sprintf("start%d", i)))
		if err != nil {
			return t, err
		}
		t.first = append(t.first, took)
	}
	for range starts {
		took, err := startOnce(ctx, gaia, filepath.Join(dir, "start0"))
		if err != nil {
			return t, err
		}
		t.later = append(t.later, took)
	}
	return t, nil
}

func startOnce(ctx context.Context, gaia, dataDir string) (time.Duration, error) {
	p, err := startGaia(ctx, gaia, dataDir)
	if err != nil {
		return 0, err
	}
	defer p.kill()
	took, err := p.awaitReady(ctx)
	if err != nil {
		return 0, err
	}
	return took, p.stop()
}
