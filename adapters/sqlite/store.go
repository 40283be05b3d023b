package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"gaia/adapters/internal/history"
	"gaia/adapters/sqlite/internal/sqlcgen"
	"gaia/domain"
	"gaia/ports"
)

var _ ports.Probe = (*Store)(nil)

// Config says where the file is. Zero values get defaults.
type Config struct {
	Path    string        // made when missing; its folder is made too
	Readers int           // connections for reading
	Timeout time.Duration // longest wait of a call: for its turn, for another process, and for the work itself
	// PowerSafe makes every commit wait until the disk has it. Without, what was committed survives the end of the process, however
	// sudden, but the last moments before a power cut may be missing, whole transactions of them.
	PowerSafe bool
	// Observe is told of each group of queries before it runs, by its name. It returns the context that they go on with, and what is called
	// at their end. Nil: nobody does.
	Observe func(ctx context.Context, name string) (context.Context, func(error))
}

func (c Config) synchronous() string {
	if c.PowerSafe {
		return "FULL"
	}
	return "NORMAL"
}

const (
	defaultReaders = 4
	defaultTimeout = 5 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Readers <= 0 {
		c.Readers = defaultReaders
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

// Store is one open database file: a connection that writes and several that read beside it. It probes the file, and carries the
// stores of the ports.
type Store struct {
	writer, reader *sql.DB
	reads          *sqlcgen.Queries // compiled once: SQLite would spend more time on compiling than on running
	reading        chan struct{}    // has room for as many as may read at a time
	group          *group
	checkpoints    *checkpointer
	config         Config
	relaying       sync.Mutex // held by who sends events
	history        *history.Cache
}

// Open opens a file that MigrateUp has made, readable for its owner only.
func Open(ctx context.Context, c Config) (*Store, error) {
	c = c.withDefaults()
	if err := touch(c.Path); err != nil {
		return nil, fmt.Errorf("sqlite open: %w", err)
	}
	writing := c
	writing.Timeout = min(c.Timeout, lockRound)
	writer, err := openPool(writing, 1, url.Values{
		"_txlock": {"immediate"}, "_pragma": {"wal_autocheckpoint(0)"}, // see checkpointer
	})
	if err != nil {
		return nil, err
	}
	reader, err := openPool(c, c.Readers, url.Values{"_pragma": {"query_only(1)"}})
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	s := &Store{writer: writer, reader: reader, reading: make(chan struct{}, c.Readers), config: c, history: history.New(0)}
	// The first connection switches the file to write-ahead logging, which a reader may not do.
	if err := s.use(ctx, "open", s.prepare); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) (err error) {
	w, err := newWriter(ctx, s.writer, s.config.Timeout)
	if err != nil {
		return err
	}
	if s.checkpoints, err = startCheckpoints(s.config); err != nil {
		return errors.Join(err, w.conn.Close())
	}
	s.group = newGroup(w, s.checkpoints)
	s.reads, err = sqlcgen.Prepare(ctx, s.reader)
	return err
}

func openPool(c Config, connections int, more url.Values) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", dataSource(c, more))
	if err != nil {
		return nil, fmt.Errorf("sqlite open: %w", err)
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool, nil
}

// dataSource names the file with what every connection to it needs: pragmas hold for one connection only.
func dataSource(c Config, more url.Values) string {
	v := url.Values{"_pragma": append([]string{
		"busy_timeout(" + strconv.FormatInt(c.Timeout.Milliseconds(), 10) + ")",
		"journal_mode(WAL)",
		"synchronous(" + c.synchronous() + ")",
		"foreign_keys(1)",
	}, more["_pragma"]...)}
	if lock := more["_txlock"]; lock != nil {
		v["_txlock"] = lock
	}
	return (&url.URL{Scheme: "file", Opaque: url.PathEscape(c.Path), RawQuery: v.Encode()}).String()
}

// touch makes the file before SQLite would: SQLite's own files could be read by everyone. The files beside it take over its mode.
func touch(path string) error {
	const private, privateFolder fs.FileMode = 0o600, 0o700
	if err := os.MkdirAll(filepath.Dir(path), privateFolder); err != nil {
		return err
	}
	// #nosec G304 -- where the database is, its operator says
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, private)
	if err != nil {
		return err
	}
	return f.Close()
}

// Close waits for running calls and closes the file.
func (s *Store) Close() error {
	var err error
	if s.group != nil {
		err = s.group.close()
	}
	if s.checkpoints != nil {
		err = errors.Join(err, s.checkpoints.close())
	}
	return errors.Join(err, s.reader.Close(), s.writer.Close())
}

// Personas returns the store of personas and preferences.
func (s *Store) Personas() *PersonaStore { return &PersonaStore{db: s} }

// Conversations returns the store of conversations.
func (s *Store) Conversations() *ConversationStore { return &ConversationStore{db: s} }

// What a process says that has to do with nothing but reading.
const (
	busyWait = 300 * time.Millisecond // that the check waits for a connection
	busy     = "All connections to the database are in use"
)

var errBusy = errors.New(busy)

// Check implements ports.Probe. It reads the file and doesn't only look at the connection. A process that has much to read is not taken for
// one that can't read.
func (s *Store) Check(ctx context.Context) domain.PartHealth {
	start := time.Now()
	err := s.use(ctx, "check", func(ctx context.Context) error {
		wait, cancel := context.WithTimeout(ctx, busyWait)
		defer cancel()
		if s.enterReading(wait) != nil {
			return errBusy
		}
		defer func() { <-s.reading }()
		var tables int
		return s.reader.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
	})
	health := domain.PartHealth{Status: domain.Healthy, ResponseTime: time.Since(start)}
	switch {
	case err == nil:
	case errors.Is(err, errBusy):
		health.Status, health.Detail = domain.Degraded, busy
	default:
		health.Status, health.Detail = domain.Unhealthy, away
	}
	return health
}

// readFunc is read or readFew.
type readFunc func(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error

// read runs queries that change nothing.
func (s *Store) read(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error {
	return s.use(ctx, op, func(ctx context.Context) error {
		if err := s.enterReading(ctx); err != nil {
			return err
		}
		defer func() { <-s.reading }()
		return query(ctx, s.reads)
	})
}

// readFew is read for queries that an index answers with a few rows. Once such a query runs nothing ends it: the driver would need a
// goroutine for that, which takes as long as the query.
func (s *Store) readFew(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error {
	return s.read(ctx, op, func(ctx context.Context, q *sqlcgen.Queries) error { return query(context.WithoutCancel(ctx), q) })
}

// enterReading waits for a connection, so that a query need not.
func (s *Store) enterReading(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write runs queries in one transaction, which holds the file's only write lock from its start.
func (s *Store) write(ctx context.Context, op string, query func(context.Context, *sqlcgen.Queries) error) error {
	return s.use(ctx, op, func(ctx context.Context) error {
		err := s.group.alone(ctx, func() error { return s.group.transaction(ctx, query) })
		if err == nil {
			s.checkpoints.wrote(pagesOf(1, 0))
		}
		return err
	})
}

// writeTogether is write for what many callers do at the same time: they share transactions. Work that fails takes only its own
// changes back. It must change nothing but the database, and may run more than once.
func (s *Store) writeTogether(ctx context.Context, op string, work func(context.Context, *sqlcgen.Queries) error) error {
	return s.writeTexts(ctx, op, 0, work)
}

// writeTexts is writeTogether for what may be long: size is how many bytes of text it writes.
func (s *Store) writeTexts(ctx context.Context, op string, size int, work func(context.Context, *sqlcgen.Queries) error) error {
	return s.use(ctx, op, func(ctx context.Context) error { return s.group.run(ctx, size, work) })
}

func (s *Store) use(ctx context.Context, op string, work func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	if s.config.Observe == nil {
		return translate(ctx, op, work(bounded))
	}
	observed, end := s.config.Observe(bounded, op)
	err := translate(ctx, op, work(observed))
	end(err)
	return err
}
