package testenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A kind is one sort of server: how to find it, start it and know it is ready.
type kind struct {
	name    string
	env     string // the variable with the URL of a server to use
	image   string // empty: Docker is not asked
	port    string // inside the container
	environ func(secret string) map[string]string
	cmd     func(secret string) []string
	files   map[string]string // inside the container, by their paths
	url     func(secret, hostPort string) string
	local   func(dir, secret string, port int) (launch, error)
	ready   func(ctx context.Context, url string) error
	shared  *sharedServer
}

// Every started server gets a secret of its own (for PostgreSQL the name of its
// superuser). It is what proves, on a machine where many test processes start
// servers at once, that the server answering on a port is the one just started.
var (
	postgres = kind{
		name: "PostgreSQL", env: "DATABASE_URL", image: "postgres:15", port: "5432/tcp",
		environ: func(s string) map[string]string {
			return map[string]string{"POSTGRES_USER": s, "POSTGRES_PASSWORD": s, "POSTGRES_DB": "postgres"}
		},
		cmd:    func(string) []string { return append([]string{"postgres"}, postgresSettings...) },
		url:    func(s, hp string) string { return "postgres://" + s + ":" + s + "@" + hp + "/postgres?sslmode=disable" },
		local:  localPostgres,
		ready:  func(ctx context.Context, url string) error { return execSQL(ctx, url, "SELECT 1") },
		shared: new(sharedServer),
	}
	redisServer = kind{
		name: "Redis", env: "REDIS_URL", image: "redis:7", port: "6379/tcp",
		cmd:    func(s string) []string { return append([]string{"redis-server"}, redisSettings(s)...) },
		url:    func(s, hp string) string { return "redis://:" + s + "@" + hp + "/0" },
		local:  localRedis,
		ready:  pingRedis,
		shared: new(sharedServer),
	}
	natsServer = kind{
		name: "NATS", env: "NATS_URL", image: "nats:2", port: "4222/tcp",
		cmd:    natsSettings,
		url:    func(s, hp string) string { return "nats://" + s + ":" + s + "@" + hp },
		local:  localNATS,
		ready:  pingNATS,
		shared: new(sharedServer),
	}
)

// smallNATS is a NATS server whose streams may have smallStore in all.
var smallNATS = func() kind {
	const path = "/etc/small.conf"
	k := natsServer
	k.files = map[string]string{path: smallStore}
	k.cmd = func(secret string) []string { return append([]string{"-c", path}, natsSettings(secret)...) }
	k.local = func(dir, secret string, port int) (launch, error) {
		l, err := localNATS(dir, secret, port)
		if err != nil {
			return launch{}, err
		}
		file := filepath.Join(dir, "small.conf")
		l.args = append([]string{"-c", file}, l.args...)
		return l, os.WriteFile(file, []byte(smallStore), 0o600)
	}
	return k
}()

// smallStore is room for a stream of Gaia (128 MB), and for some more.
const smallStore = "jetstream { max_file_store: 192MB }\n"

// s3Server is built by `make bin/versitygw`.
var s3Server = kind{
	name: "S3", env: "TEST_S3_URL",
	url:   func(s, hp string) string { return "s3://" + s + ":" + s + "@" + hp + "?insecure=true" },
	local: localS3,
	ready: func(ctx context.Context, url string) error {
		return withS3(url, func(c *minio.Client) error { return ignore(c.ListBuckets(ctx)) })
	},
	shared: new(sharedServer),
}

func init() {
	for _, k := range []kind{postgres, redisServer, natsServer, s3Server} {
		k.shared.kind = k
	}
}

// sharedServer is found once for a test process. It is never stopped by it: its
// guard (or Docker's reaper) stops it when the process is gone.
type sharedServer struct {
	kind kind
	once sync.Once
	at   string
	how  string
	err  error
	// Held, because the garbage collector would close the pipe to the guard of a
	// server that nothing refers to, and the guard would end it.
	running runner
}

func (s *sharedServer) url(t testing.TB) string {
	t.Helper()
	skipShort(t)
	s.once.Do(func() { s.err = s.find() })
	var wrong *wrongURLError
	if errors.As(s.err, &wrong) {
		t.Fatalf("testenv: %v", s.err)
	}
	if s.err != nil {
		missing(t, s.kind, s.err)
	}
	t.Logf("testenv: %s from %s", s.kind.name, s.how)
	return s.at
}

func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("testenv: needs a server, and -short asks for none")
	}
}

// A wrongURLError is a URL in the environment that does not answer. It fails
// the test even where a missing server would skip it: somebody set it on purpose.
type wrongURLError struct {
	env string
	err error
}

func (e *wrongURLError) Error() string {
	return "the server at " + e.env + " does not answer: " + e.err.Error()
}
func (e *wrongURLError) Unwrap() error { return e.err }

func (s *sharedServer) find() error {
	k := s.kind
	if url := os.Getenv(k.env); url != "" {
		ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
		defer cancel()
		if err := k.ready(ctx, url); err != nil {
			return &wrongURLError{k.env, err}
		}
		s.at, s.how = url, k.env
		return nil
	}
	docker := dockerFor(k)
	if docker == nil {
		c, err := startContainer(k)
		if err == nil {
			s.at, s.how, s.running = c.at, "Docker, "+k.image, c
			return nil
		}
		docker = err
	}
	p, err := startProcess(k)
	if err != nil {
		return fmt.Errorf("%s is not set; %w", k.env, joinReasons(err, docker))
	}
	s.at, s.how, s.running = p.at, fmt.Sprintf("a local binary (Docker: %v)", docker), p
	return nil
}

// dockerFor is nil when Docker can run a server.
func dockerFor(k kind) error {
	if k.image == "" {
		return errors.New("it is not for this one")
	}
	return dockerAnswers()
}

func joinReasons(local, docker error) error {
	return fmt.Errorf("Docker: %w; local: %w", docker, local)
}

func execSQL(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the answer is in already
	_, err = conn.Exec(ctx, sql)
	return err
}

func redisClient(url string) (*redis.Client, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	opts.MaxRetries = -1
	opts.PoolSize = 1
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(opts), nil
}

func pingRedis(ctx context.Context, url string) error {
	c, err := redisClient(url)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answer is in already
	return c.Ping(ctx).Err()
}

func deleteKeys(ctx context.Context, url, prefix string) error {
	c, err := redisClient(url)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answer is in already
	for it := c.Scan(ctx, 0, prefix+"*", 1000).Iterator(); ; {
		if !it.Next(ctx) {
			return it.Err()
		}
		if err := c.Unlink(ctx, it.Val()).Err(); err != nil {
			return err
		}
	}
}

func withJetStream(url string, do func(jetstream.JetStream) error) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(0))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return do(js)
}

func pingNATS(ctx context.Context, url string) error {
	return withJetStream(url, func(js jetstream.JetStream) error {
		_, err := js.AccountInfo(ctx)
		return err
	})
}

func deleteStreams(ctx context.Context, url, prefix string) error {
	return withJetStream(url, func(js jetstream.JetStream) error {
		var names []string
		streams := js.ListStreams(ctx)
		for info := range streams.Info() {
			for _, subject := range info.Config.Subjects {
				if strings.HasPrefix(subject, prefix) {
					names = append(names, info.Config.Name)
					break
				}
			}
		}
		if err := streams.Err(); err != nil {
			return err
		}
		for _, name := range names {
			if err := js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
				return err
			}
		}
		return nil
	})
}

// withS3 lets do ask the service at a URL.
func withS3(raw string, do func(*minio.Client) error) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the URL can't be read")
	}
	secret, _ := u.User.Password()
	c, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(u.User.Username(), secret, ""), Secure: u.Query().Get("insecure") != "true",
		Region: cmp.Or(u.Query().Get("region"), "us-east-1"), BucketLookup: minio.BucketLookupPath, MaxRetries: 1,
	})
	if err != nil {
		return err
	}
	return do(c)
}

// ignore keeps the error of a call whose answer nobody needs.
func ignore[T any](_ T, err error) error { return err }

// removeBucket removes a bucket with what is in it, unfinished uploads too.
func removeBucket(ctx context.Context, url, bucket string) error {
	return withS3(url, func(c *minio.Client) error {
		for upload := range c.ListIncompleteUploads(ctx, bucket, "", true) {
			if upload.Err != nil {
				return upload.Err
			}
			if err := c.RemoveIncompleteUpload(ctx, bucket, upload.Key); err != nil {
				return err
			}
		}
		for object := range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
			if object.Err != nil {
				return object.Err
			}
			if err := c.RemoveObject(ctx, bucket, object.Key, minio.RemoveObjectOptions{}); err != nil {
				return err
			}
		}
		return c.RemoveBucket(ctx, bucket)
	})
}
