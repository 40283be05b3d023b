package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	probeTimeout = 2 * time.Second
	probeShown   = 4 << 10 // of an answer, which is short
)

// errUnhealthy is an answer that is not 2xx.
var errUnhealthy = errors.New("not healthy")

// runHealth asks a process of Gaia how it is. It is what containers check their health with: an image of one program has no curl.
func runHealth(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] != "--help" && args[0] != "-h" {
		if len(args) > 1 {
			return fmt.Errorf("wrong number of arguments: %w", errUsage)
		}
		return probe(ctx, args[0], out) // without settings: those of another process may be none of ours
	}
	return withConfig(args, 0, func(c config) error { return probe(ctx, c.ownAddress(), out) })
}

// ownAddress is where a process with these settings is reached from beside it.
func (c *config) ownAddress() string {
	host := c.ServiceHost
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(c.ServicePort))
}

// probe prints what a GET of the address says, or of /readyz there when the address has no path.
func probe(ctx context.Context, address string, out io.Writer) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no http:// address: %w", address, errUsage)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil) // #nosec G704 -- the address is given by whoever runs the command, with their own rights
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "gaia-health")
	client := http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}} // a proxy would answer for itself
	res, err := client.Do(req)                                                             // #nosec G704 -- as above
	if err != nil {
		return fmt.Errorf("%w: %w", errUnhealthy, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, probeShown))
	if err != nil {
		return fmt.Errorf("%w: %w", errUnhealthy, err)
	}
	if _, err = fmt.Fprintf(out, "%d %s\n", res.StatusCode, strings.TrimSpace(string(body))); err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %w", u, errUnhealthy)
	}
	return nil
}
