package testenv

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

const imageTimeout = 5 * time.Minute // a first run pulls the image

var dockerTimeout = 5 * time.Second // shorter in tests of this package

// dockerAnswers is nil when Docker can be used. It is decided once: asking a
// daemon that hangs costs the whole timeout.
var dockerAnswers = sync.OnceValue(func() error {
	tclog.SetDefault(tclog.NewNoopLogger())
	ctx, cancel := context.WithTimeout(context.Background(), dockerTimeout)
	defer cancel()
	answer := make(chan error, 1)
	// The library looks for the daemon without a context, so a daemon that
	// accepts and never answers can only be left behind.
	go func() {
		provider, err := testcontainers.ProviderDocker.GetProvider()
		if err == nil {
			err = provider.Health(ctx)
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s", dockerTimeout)
	}
})

// inContainer is a server in a container with a published port. The reaper of
// testcontainers removes it when the test process is gone.
type inContainer struct {
	kind   kind
	at     string
	c      *testcontainers.DockerContainer
	docker *testcontainers.DockerClient
}

func startContainer(k kind) (*inContainer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), imageTimeout)
	defer cancel()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, err
	}
	s := &inContainer{kind: k, docker: docker}
	secret := newSecret()
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd(k.cmd(secret)...),
		testcontainers.WithExposedPorts(k.port),
		testcontainers.WithHostConfigModifier(publish(k.port, port)),
	}
	if k.environ != nil {
		options = append(options, testcontainers.WithEnv(k.environ(secret)))
	}
	for path, text := range k.files {
		options = append(options, testcontainers.WithFiles(testcontainers.ContainerFile{
			Reader: strings.NewReader(text), ContainerFilePath: path, FileMode: 0o644,
		}))
	}
	if s.c, err = testcontainers.Run(ctx, k.image, options...); err != nil {
		s.close()
		return nil, fmt.Errorf("run %s: %w", k.image, err)
	}
	address, err := s.c.PortEndpoint(ctx, k.port, "")
	if err != nil {
		s.close()
		return nil, fmt.Errorf("run %s: %w", k.image, err)
	}
	s.at = k.url(secret, address)
	if err := s.waitReady(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// publish fixes the port on the host: one that Docker chooses changes when a
// container is started again.
func publish(inside string, outside int) func(*container.HostConfig) {
	return func(hc *container.HostConfig) {
		hc.PortBindings = network.PortMap{
			network.MustParsePort(inside): {{HostIP: netip.IPv4Unspecified(), HostPort: strconv.Itoa(outside)}},
		}
	}
}

func (s *inContainer) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := s.kind.ready(ctx, s.at)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", s.kind.image, err)
		}
	}
}

func (s *inContainer) url() string { return s.at }

func (s *inContainer) start() error {
	return s.do(func(ctx context.Context, id string) error {
		if _, err := s.docker.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
			return err
		}
		return s.waitReady(ctx)
	})
}

func (s *inContainer) kill(sig syscall.Signal) error {
	return s.do(func(ctx context.Context, id string) error {
		if _, err := s.docker.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: strconv.Itoa(int(sig))}); err != nil {
			return err
		}
		wait := s.docker.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case err := <-wait.Error:
			return err
		case <-wait.Result:
			return nil
		}
	})
}

func (s *inContainer) pause() error {
	return s.do(func(ctx context.Context, id string) error {
		_, err := s.docker.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		return err
	})
}

func (s *inContainer) resume() error {
	return s.do(func(ctx context.Context, id string) error {
		_, err := s.docker.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
		return err
	})
}

func (s *inContainer) do(act func(ctx context.Context, id string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	return act(ctx, s.c.GetContainerID())
}

func (s *inContainer) close() {
	_ = testcontainers.TerminateContainer(s.c)
	_ = s.docker.Close()
}
