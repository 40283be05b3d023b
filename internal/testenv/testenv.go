// Package testenv gives integration tests a real PostgreSQL, Redis and NATS, and
// a real server that speaks S3.
//
// A server is looked for in this order: the URL in the environment
// (DATABASE_URL, REDIS_URL, NATS_URL, TEST_S3_URL), a container when Docker
// answers (not for S3), a local binary started on a free port. Each is found once for a test process and
// shared by its tests, which stay apart by a database, a key prefix and a
// subject prefix of their own. A fault test takes a private [Server] instead.
//
// A missing server skips the test on a laptop and fails it when CI is set or
// GAIA_TEST_REQUIRE=1, so that a green run never means that nothing ran.
// `go test -short` skips every test that asks for a server.
//
// It is for tests only: nothing that ships may import it, and it must not know
// any adapter of Gaia.
package testenv

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	readyTimeout   = 60 * time.Second
	cleanupTimeout = 30 * time.Second
)

// Postgres returns the URL of a new, empty database that belongs to this test
// alone and is dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	admin := postgres.shared.url(t)
	name := "t_" + randomID()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	// template0 rather than template1: nobody can be connected to it, and a
	// connected session is the one thing that makes CREATE DATABASE fail.
	if err := execSQL(ctx, admin, `CREATE DATABASE `+name+` TEMPLATE template0`); err != nil {
		t.Fatalf("testenv: create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := execSQL(ctx, admin, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`); err != nil {
			t.Errorf("testenv: drop the database of the test: %v", err)
		}
	})
	return withPath(admin, name)
}

// Redis returns the URL of a Redis server and a key prefix, ending in ":", that
// belongs to this test alone. Keys under it are deleted when the test ends.
func Redis(t testing.TB) (url, keyPrefix string) {
	t.Helper()
	url = redisServer.shared.url(t)
	keyPrefix = "t_" + randomID() + ":"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := deleteKeys(ctx, url, keyPrefix); err != nil {
			t.Errorf("testenv: delete the keys of the test: %v", err)
		}
	})
	return url, keyPrefix
}

// NATS returns the URL of a NATS server with JetStream and a subject prefix,
// ending in ".", that belongs to this test alone. Streams over subjects under
// it are deleted when the test ends. Stream and consumer names are the test's
// to keep unique: a name may hold the prefix without its dot.
func NATS(t testing.TB) (url, subjectPrefix string) {
	t.Helper()
	url = natsServer.shared.url(t)
	subjectPrefix = "t_" + randomID() + "."
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := deleteStreams(ctx, url, subjectPrefix); err != nil {
			t.Errorf("testenv: delete the streams of the test: %v", err)
		}
	})
	return url, subjectPrefix
}

// S3 returns the URL of a new, empty bucket that belongs to this test alone and
// is removed when the test ends.
func S3(t testing.TB) string {
	t.Helper()
	server := s3Server.shared.url(t)
	bucket := makeBucket(t, server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		u, err := url.Parse(bucket)
		if err == nil {
			err = removeBucket(ctx, server, u.Path[1:])
		}
		if err != nil {
			t.Errorf("testenv: remove the bucket of the test: %v", err)
		}
	})
	return bucket
}

// StartS3 starts a server that speaks S3 of this test's own, to be stopped and
// paused, and returns the URL of a bucket there, too.
func StartS3(t testing.TB) (server *Server, bucketURL string) {
	t.Helper()
	server = start(t, s3Server)
	return server, makeBucket(t, server.URL())
}

func makeBucket(t testing.TB, server string) string {
	t.Helper()
	name := "t-" + randomID()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	err := withS3(server, func(c *minio.Client) error { return c.MakeBucket(ctx, name, minio.MakeBucketOptions{}) })
	if err != nil {
		t.Fatalf("testenv: make a bucket for the test: %v", err)
	}
	return withPath(server, name)
}

// StartPostgres starts a PostgreSQL of this test's own, to be stopped and paused.
func StartPostgres(t testing.TB) *Server { t.Helper(); return start(t, postgres) }

// StartRedis starts a Redis of this test's own, to be stopped and paused. It
// writes an append-only file, so that a killed server comes back with its data.
func StartRedis(t testing.TB) *Server { t.Helper(); return start(t, redisServer) }

// StartNATS starts a NATS server with JetStream of this test's own, to be
// stopped and paused.
func StartNATS(t testing.TB) *Server { t.Helper(); return start(t, natsServer) }

// StartSmallNATS is StartNATS for a server whose streams soon have no more room.
func StartSmallNATS(t testing.TB) *Server { t.Helper(); return start(t, smallNATS) }

// missing ends a test that cannot have its server.
func missing(t testing.TB, k kind, err error) {
	t.Helper()
	if required() {
		t.Fatalf("testenv: no %s: %v. Run `make test-deps`, start Docker, or set %s.", k.name, err, k.env)
	}
	t.Skipf("testenv: no %s: %v. Run `make test-deps`, start Docker, or set %s.", k.name, err, k.env)
}

func required() bool {
	ci := os.Getenv("CI")
	return os.Getenv("GAIA_TEST_REQUIRE") == "1" || (ci != "" && ci != "0" && ci != "false")
}

func randomID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// newSecret starts with a letter, because PostgreSQL takes it as a user name.
func newSecret() string { return "s" + randomID() }

func withPath(raw, path string) string {
	u, err := url.Parse(raw)
	if err != nil { // the server at this URL has answered already
		panic(err)
	}
	u.Path = "/" + path
	return u.String()
}
