package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"gaia/domain"
)

const (
	downloadIdle = 30 * time.Second // until the first byte, and between two
	maxRedirects = 5
)

var (
	errForbiddenAddress = errors.New("an address inside of our network")
	errForbiddenURL     = errors.New("not an address of https")
	errSlow             = errors.New("nothing received in time")
)

// Fetch opens a file that a service has made. Its address is what the service says, so it is not trusted: it gets no header of ours, has
// to be https, and lead out of our network. Only the configured host of the service may be where it is.
func (s *Service) Fetch(ctx context.Context, f domain.GeneratedFile, limit int64) (io.ReadCloser, error) {
	if f.URL == "" {
		if int64(len(f.Data)) > limit {
			return nil, s.tooLarge()
		}
		return io.NopCloser(bytes.NewReader(f.Data)), nil
	}
	u, err := url.Parse(f.URL)
	if err != nil || !s.own(u) && u.Scheme != "https" {
		return nil, s.lost(errForbiddenURL)
	}
	d := s.open(ctx)
	req, err := http.NewRequestWithContext(d.ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		d.end()
		return nil, s.lost(errForbiddenURL)
	}
	req.Header.Set("User-Agent", "gaia")
	resp, err := s.downloads.Do(req) //nolint:bodyclose // the download closes it
	if err != nil {
		defer d.end()
		return nil, d.explain(err)
	}
	d.idle.Stop()
	d.body, d.left = resp.Body, limit
	if err := s.refusedFile(resp, limit); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// refusedFile says what speaks against reading a file.
func (s *Service) refusedFile(resp *http.Response, limit int64) error {
	cause := fmt.Errorf("status %d", resp.StatusCode)
	switch status := resp.StatusCode; {
	case status == http.StatusOK && resp.ContentLength > limit:
		return s.tooLarge()
	case status == http.StatusOK:
		return nil
	case status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusGone: // the links of storages expire with 403
		return &domain.Error{Kind: domain.NotFound, Message: fmt.Sprintf("%s has this file no more", s.cfg.Name), Cause: cause}
	default:
		return s.lost(cause)
	}
}

func (s *Service) lost(cause error) *domain.Error {
	return domain.MissingPart(fmt.Sprintf("The file can't be fetched from %s", s.cfg.Name), cause)
}

func (s *Service) tooLarge() *domain.Error {
	return domain.NewError(domain.TooLarge, fmt.Sprintf("The file that %s made is too large", s.cfg.Name))
}

// own reports whether an address is at the host that somebody configured.
func (s *Service) own(u *url.URL) bool {
	base, err := url.Parse(s.cfg.URL)
	return err == nil && u.Host == base.Host && u.Scheme == base.Scheme
}

// download is the body of a response with a limit for its length and for each wait.
type download struct {
	service *Service
	caller  context.Context //nolint:containedctx // both live as long as the call of Fetch lets them
	ctx     context.Context //nolint:containedctx // see caller
	stop    context.CancelCauseFunc
	idle    *time.Timer
	body    io.ReadCloser
	left    int64
}

func (s *Service) open(caller context.Context) *download {
	ctx, stop := context.WithCancelCause(caller)
	return &download{
		service: s, caller: caller, ctx: ctx, stop: stop, idle: time.AfterFunc(downloadIdle, func() { stop(errSlow) }),
	}
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	d.idle.Reset(downloadIdle)
	defer d.idle.Stop() // a slow reader is no fault of the service
	n, err := d.body.Read(p)
	if d.left -= int64(n); d.left < 0 {
		return 0, d.service.tooLarge()
	}
	if err != nil && err != io.EOF { //nolint:errorlint // only the bare one means the end
		err = d.explain(err)
	}
	return n, err
}

// Close implements io.Closer.
func (d *download) Close() error {
	err := d.body.Close()
	d.end()
	return err
}

func (d *download) end() {
	d.idle.Stop()
	d.stop(nil)
}

func (d *download) explain(err error) error {
	err = withoutURL(err)
	switch {
	case errors.Is(d.caller.Err(), context.Canceled):
		return &domain.Error{Kind: domain.Canceled, Message: "The request was canceled", Cause: err}
	case errors.Is(context.Cause(d.ctx), errSlow):
		return d.service.lost(errSlow)
	case errors.Is(err, io.EOF): // in the chain, it would make the failure look like the end of a whole file
		return d.service.lost(errors.New(err.Error()))
	default:
		return d.service.lost(err)
	}
}

// newDownloads is a client for addresses that others name. A configured proxy decides for itself where it leads to.
func newDownloads(base string) *http.Client {
	transport := NewTransport(defaultConnect)
	dialer := &net.Dialer{Timeout: defaultConnect, KeepAlive: 30 * time.Second}
	outward := &net.Dialer{Timeout: defaultConnect, KeepAlive: 30 * time.Second, Control: onlyOutward}
	configured := configuredAddress(base)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == configured || viaProxy(ctx) {
			return dialer.DialContext(ctx, network, address)
		}
		return outward.DialContext(ctx, network, address)
	}
	return &http.Client{Transport: marking{transport}, CheckRedirect: onlyHTTPS}
}

type proxied struct{}

// marking remembers in the context whether a request goes by a proxy, which its dialer can't see.
type marking struct{ transport *http.Transport }

func (m marking) RoundTrip(r *http.Request) (*http.Response, error) {
	if proxy, err := http.ProxyFromEnvironment(r); err == nil && proxy != nil {
		r = r.WithContext(context.WithValue(r.Context(), proxied{}, true))
	}
	return m.transport.RoundTrip(r)
}

// CloseIdleConnections makes that of http.Client reach the transport.
func (m marking) CloseIdleConnections() { m.transport.CloseIdleConnections() }

func viaProxy(ctx context.Context) bool { return ctx.Value(proxied{}) != nil }

func onlyHTTPS(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case r.URL.Scheme != "https" && (r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme):
		return errForbiddenURL
	}
	r.Header.Del("Referer") // it would tell a signed address
	return nil
}

func configuredAddress(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// shared are addresses that are neither private nor of the world.
var shared = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
}

// onlyOutward refuses a connection to an address inside of our network. It sees the address after the name was looked up.
func onlyOutward(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errForbiddenAddress
	}
	ip := at.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return errForbiddenAddress
	}
	for _, p := range shared {
		if p.Contains(ip) {
			return errForbiddenAddress
		}
	}
	return nil
}
