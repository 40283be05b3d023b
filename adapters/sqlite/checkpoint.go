package sqlite

import (
	"context"
	"database/sql"
	"net/url"
	"sync"
	"sync/atomic"
)

// Bounds of the write-ahead log, in pages of 4 KiB.
const (
	checkpointEvery = 4_000
	longestLog      = 4 * checkpointEvery
)

// checkpointer moves what was committed from the write-ahead log into the database file. SQLite would let every so many-th commit do
// that, and wait for the disk in it; here commits go on beside it. Only when it falls behind, because somebody writes faster than the
// disk, do they wait: else the log would grow as long as they go on.
type checkpointer struct {
	db      *sql.DB
	mu      sync.Mutex    // held during a checkpoint
	length  atomic.Int64  // of the log in pages, about
	awaited int64         // the length at which who writes waits again; only who may write knows it
	wake    chan struct{} // holds one signal
	stop    chan struct{}
	done    chan struct{}
}

func startCheckpoints(c Config) (*checkpointer, error) {
	db, err := openPool(c, 1, url.Values{})
	if err != nil {
		return nil, err
	}
	p := &checkpointer{db: db, awaited: longestLog, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p, nil
}

// wrote counts, and wakes the checkpointer when it is time.
func (p *checkpointer) wrote(pages int) {
	length := p.length.Add(int64(pages))
	if length/checkpointEvery == (length-int64(pages))/checkpointEvery {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it runs, and will look again
	}
}

// catchUp waits until the log is short enough to write more. Its caller keeps everybody else from writing, so that the log can begin anew:
// under somebody who writes all the time it never does otherwise. A log that stays long, because of a reader or a broken disk, is no
// reason not to write, and is tried again when it has grown by as much as what a usual checkpoint moves.
func (p *checkpointer) catchUp() {
	if p.length.Load() < p.awaited {
		return
	}
	p.checkpoint()
	p.awaited = max(longestLog, p.length.Load()+checkpointEvery)
}

func (p *checkpointer) run() {
	defer close(p.done)
	for {
		select {
		case <-p.stop:
			return
		case <-p.wake:
			p.checkpoint()
		}
	}
}

// checkpoint moves what there is when it begins, and corrects the length. A log of which all was moved begins anew with the next commit.
// A failure loses nothing: what is in the log is as safe, and the next checkpoint moves it.
func (p *checkpointer) checkpoint() {
	p.mu.Lock() // so that what is counted belongs to this one
	defer p.mu.Unlock()
	counted := p.length.Load()
	var busy, pages, moved int64
	err := p.db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved)
	switch {
	case err != nil:
	case moved == pages && p.length.CompareAndSwap(counted, 0):
	default:
		p.length.Add(pages - counted)
	}
}

func (p *checkpointer) close() error {
	close(p.stop)
	<-p.done
	return p.db.Close()
}
