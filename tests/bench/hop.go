package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// hopSecret is what services sign with.
const hopSecret = "INTERNAL_AUTH_SECRET=a secret of at least thirty-two bytes"

// measureHop puts the platform as a gateway with services behind it under loads, against the same in one process. Both work on one
// PostgreSQL and one NATS; without these there is nothing to measure.
func measureHop(ctx context.Context, o options, dir string) (rows []comparison, err error) {
	nats, err := exec.LookPath("nats-server")
	if err != nil || o.database == "" {
		progress("the hop needs nats-server and a PostgreSQL: its rows are left out")
		return nil, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	bus := exec.Command(nats, "-js", "-a", "127.0.0.1", "-p", port, "-sd", filepath.Join(dir, "hop-nats")) //nolint:gosec // the operator's own
	if err := bus.Start(); err != nil {
		return nil, fmt.Errorf("nats-server: %w", err)
	}
	defer func() {
		_ = bus.Process.Kill()
		_ = bus.Wait()
	}()
	settings := []string{"DATABASE_URL=" + o.database, "NATS_URL=nats://127.0.0.1:" + port, hopSecret}
	migrate := exec.Command(o.gaia, "migrate", "up") //nolint:gosec // the operator's own
	migrate.Env = append(cleanEnvironment(), settings...)
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("gaia migrate up: %w: %s", err, out)
	}
	whole, err := startGaia(ctx, o.gaia, filepath.Join(dir, "hop-whole"), settings...)
	if err != nil {
		return nil, err
	}
	defer whole.kill()
	parts, err := startApart(ctx, o, dir, settings)
	defer func() {
		for _, p := range parts {
			p.kill()
		}
	}()
	if err != nil {
		return nil, err
	}
	gateway := parts[len(parts)-1]
	if rows, err = compareHop(ctx, o, whole, gateway); err != nil {
		return nil, err
	}
	for i := len(parts) - 1; i >= 0; i-- {
		err = errors.Join(err, parts[i].stop())
	}
	return rows, errors.Join(err, whole.stop())
}

// startApart starts each service as a process, the gateway last.
func startApart(ctx context.Context, o options, dir string, settings []string) (started []*process, err error) {
	for _, service := range []string{"auth", "asset", "chat", "gateway"} {
		p, err := startGaia(ctx, o.gaia, filepath.Join(dir, "hop-"+service), append(settings[:len(settings):len(settings)], "SERVICES="+service)...)
		if err != nil {
			return started, err
		}
		started = append(started, p)
		if _, err := p.awaitReady(ctx); err != nil {
			return started, err
		}
		settings = append(settings, strings.ToUpper(service)+"_SERVICE_URL="+p.url)
	}
	return started, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

func compareHop(ctx context.Context, o options, whole, gateway *process) ([]comparison, error) {
	if _, err := whole.awaitReady(ctx); err != nil {
		return nil, err
	}
	one, apart := newClient(whole.url, maxWorkers), newClient(gateway.url, maxWorkers)
	defer one.close()
	defer apart.close()
	loads, err := record(ctx, one)
	if err != nil {
		return nil, err
	}
	loads = append([]load{{name: "what the gateway answers itself", request: request{method: http.MethodGet, path: publicPath}}}, loads...)
	var rows []comparison
	for _, l := range loads {
		if l.check == nil {
			l.check = func(a answer) error {
				if a.status != http.StatusOK {
					return fmt.Errorf("%w: status %d", errWrong, a.status)
				}
				return nil
			}
		}
		for _, n := range workers {
			progress("in one process and in four: %s, %d at once", l.name, n)
			row, err := compare(ctx, o, apart, one, l, l.request.path, n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (r report) hopTable() table {
	t := table{head: []string{"load", "at once", "apart req/s", "one req/s", "ratio", "apart p50", "one p50", "added", "apart p99", "one p99", "added"}}
	for _, c := range r.hop {
		t.add(c.load, strconv.Itoa(c.workers), fmt.Sprintf("%.0f", c.gaia.perSecond), fmt.Sprintf("%.0f", c.bare.perSecond), factor(c.perSecond),
			ms(c.gaia.p50), ms(c.bare.p50), ms(c.gaia.p50-c.bare.p50), ms(c.gaia.p99), ms(c.bare.p99), ms(c.gaia.p99-c.bare.p99))
	}
	return t
}
