package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gaia/adapters/sqlite"
	"gaia/domain"
)

// waitUntil polls for something that another goroutine brings about.
func waitUntil(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !reached(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in ten seconds", what)
		}
		time.Sleep(100 * time.Microsecond) //nolint:forbidigo // nothing tells
	}
}

// commitBehind starts commits that have to wait until release, and returns when all of them do.
func commitBehind(t *testing.T, s *sqlite.Store, ctx context.Context, turns []domain.Turn) (release func(), outcome func() []error) {
	t.Helper()
	held, let := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		_ = s.Alone(context.Background(), func() error {
			close(held)
			<-let
			return nil
		})
	})
	<-held
	errs := make([]error, len(turns))
	for i, turn := range turns {
		done.Go(func() { _, errs[i] = s.Conversations().CommitTurn(ctx, turn) })
	}
	waitUntil(t, "all wait", func() bool { return s.Waiting() == len(turns) })
	release = sync.OnceFunc(func() { close(let) })
	t.Cleanup(release)
	return release, func() []error { done.Wait(); return errs }
}

func turnsOf(owner string, n int) []domain.Turn {
	turns := make([]domain.Turn, n)
	for i := range turns {
		turns[i] = aTurn(fmt.Sprint("answer ", i))
		turns[i].Owner = owner
	}
	return turns
}

func wantCount(t *testing.T, s *sqlite.Store, owner string, want int) {
	t.Helper()
	if n, err := s.Conversations().Count(t.Context(), owner, ""); err != nil || n != want {
		t.Errorf("%d messages, %v, want %d", n, err, want)
	}
}

func TestWhoWaitsSharesATransaction(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	before := s.Commits()
	release, outcome := commitBehind(t, s, t.Context(), turnsOf("owner", 200))
	release()
	if err := errors.Join(outcome()...); err != nil {
		t.Fatal(err)
	}
	wantCount(t, s, "owner", 400)
	if n := s.Commits() - before; n != 2 { // 128 and 72
		t.Errorf("200 turns that waited took %d transactions", n)
	}
}

func TestOneFailureInATransaction(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	turns := turnsOf("owner", 9)
	turns[4].Assistant.ID = turns[2].Assistant.ID // which of both fails depends on who is first
	turns[7].ConversationID = turns[7].User.ID    // not the default, so it is apart
	release, outcome := commitBehind(t, s, t.Context(), turns)
	release()
	failed := 0
	for i, err := range outcome() {
		switch {
		case err == nil:
		case (i == 2 || i == 4) && domain.KindOf(err) == domain.Conflict:
			failed++
		default:
			t.Errorf("turn %d: %v", i, err)
		}
	}
	if failed != 1 {
		t.Errorf("%d turns failed", failed)
	}
	wantCount(t, s, "owner", 14)
}

func TestWhoLeavesBeforeTheTransactionHasSavedNothing(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	ctx, leave := context.WithCancel(t.Context())
	release, outcome := commitBehind(t, s, ctx, turnsOf("owner", 5))
	leave() // while all wait: nobody's turn can have begun
	waitUntil(t, "all have left", func() bool { return s.Waiting() == 0 })
	release()
	for _, err := range outcome() {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	wantCount(t, s, "owner", 0)
}

func TestTheDiskFillsUpUnderManyTurns(t *testing.T) {
	t.Parallel()
	s := open(t, newFile(t))
	if err := s.ExecWriter(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	turns := turnsOf("owner", 8)
	for i := range turns {
		turns[i].Assistant.Content = string(make([]byte, 100_000))
	}
	release, outcome := commitBehind(t, s, t.Context(), turns)
	release()
	for _, err := range outcome() {
		wantUnavailable(t, err)
	}
	wantCount(t, s, "owner", 0)
	if err := s.ExecWriter(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Conversations().CommitTurn(t.Context(), turns[0]); err != nil {
		t.Errorf("after the fault was gone: %v", err)
	}
}

func TestAnotherProcessWritesWhileTurnsWait(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := openWith(t, sqlite.Config{Path: path, Timeout: 2 * time.Second})
	other := open(t, path)
	if err := other.ExecWriter(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	release, outcome := commitBehind(t, s, t.Context(), turnsOf("owner", 3))
	release()
	for _, err := range outcome() {
		wantUnavailable(t, err)
	}
	if err := other.ExecWriter(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	wantCount(t, s, "owner", 0)
	if _, err := s.Conversations().CommitTurn(t.Context(), turnsOf("owner", 1)[0]); err != nil {
		t.Errorf("after the other was done: %v", err)
	}
}

func TestCloseSavesWhatWaits(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	release, outcome := commitBehind(t, s, t.Context(), turnsOf("owner", 20))
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	release()
	if err := errors.Join(outcome()...); err != nil {
		t.Errorf("turns that waited: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := s.Conversations().CommitTurn(t.Context(), aTurn("late")); err == nil {
		t.Error("a closed store took a turn")
	}
	if err := s.Personas().Create(t.Context(), aPersona("Late")); err == nil {
		t.Error("a closed store took a persona")
	}
	wantCount(t, open(t, path), "owner", 40)
}

// The write-ahead log must not grow for ever under somebody who writes all the time, however slow the disk is.
func TestTheLogStaysShort(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := open(t, path)
	text := strings.Repeat("x", 1<<20)
	for i := range 100 {
		turn := aTurn(text)
		turn.Owner = fmt.Sprint(i)
		if _, err := s.Conversations().CommitTurn(t.Context(), turn); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() > 75<<20 { // 16,000 pages, and what one more turn takes
		t.Errorf("the log has %d bytes, %v", info.Size(), err)
	}
}

// A reader who doesn't end keeps the log from beginning anew. Nobody waits for that.
func TestALogThatStaysLongKeepsNobodyFromWriting(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	s := open(t, path)
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	reader, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRowContext(t.Context(), "SELECT count(*) FROM conversations").Scan(&n); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 1<<20)
	write := func() {
		turn := aTurn(text)
		if _, err := s.Conversations().CommitTurn(t.Context(), turn); err != nil {
			t.Fatal(err)
		}
	}
	for range 75 {
		write()
	}
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() < 75<<20 {
		t.Errorf("the log has %d bytes, %v: the reader holds nothing", info.Size(), err)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	long := info.Size()
	for range 35 { // twice what passes between two tries
		write()
	}
	if info, err = os.Stat(path + "-wal"); err != nil || info.Size() > long+25<<20 {
		t.Errorf("the log has %d bytes, %v, and had %d when the reader ended", info.Size(), err, long)
	}
}

func TestPowerSafeWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	for want, c := range map[string]sqlite.Config{"1": {Path: path}, "2": {Path: path, PowerSafe: true}} {
		if got, err := openWith(t, c).WriterPragma(t.Context(), "synchronous"); err != nil || got != want {
			t.Errorf("synchronous is %s, %v, want %s", got, err, want)
		}
	}
}
