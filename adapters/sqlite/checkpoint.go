package sqlite

import (
	"context"
	"database/sql"
	"net/url"
	"sync/atomic"
)

// Bounds of the write-ahead log, in pages of 4 KiB.
const (
	checkpointEvery = 4_000
	tooLong         = 4 * checkpointEvery
)

// checkpointer moves what was committed from the write-ahead log into the database file. SQLite would let every so many-th commit do
// that, and wait for the disk in it; here commits go on beside it.
type checkpointer struct {
	db      *sql.DB
	written atomic.Int64  // pages since the last checkpoint, about
	wake    chan struct{} // holds one signal
	stop    chan struct{}
	done    chan struct{}
}

// startCheckpoints needs a way to keep everybody from writing for a moment.
func startCheckpoints(c Config, alone func(context.Context, func() error) error) (*checkpointer, error) {
	db, err := openPool(c, 1, url.Values{})
	if err != nil {
		return nil, err
	}
	p := &checkpointer{db: db, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run(alone)
	return p, nil
}

// wrote counts, and wakes the checkpointer when it is time.
func (p *checkpointer) wrote(pages int) {
	if p.written.Add(int64(pages)) < checkpointEvery {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *checkpointer) run(alone func(context.Context, func() error) error) {
	defer close(p.done)
	for {
		select {
		case <-p.stop:
			return
		case <-p.wake:
		}
		p.written.Store(0)
		if pages, err := p.checkpoint(); err == nil && pages > tooLong {
			// Who writes all the time never lets the log begin anew: only a checkpoint that reaches its end does.
			_ = alone(context.Background(), func() error {
				_, err := p.checkpoint()
				return err
			})
		}
	}
}

// checkpoint returns how long the log is; it begins anew with the next commit when all of it was moved. A failure loses nothing: what
// is in the log is as safe, and the next checkpoint moves it.
func (p *checkpointer) checkpoint() (pages int, err error) {
	var busy, moved int
	err = p.db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved)
	return pages, err
}

func (p *checkpointer) close() error {
	close(p.stop)
	<-p.done
	return p.db.Close()
}
