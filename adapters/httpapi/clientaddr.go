package httpapi

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"gaia/domain"
)

// proxies are the addresses whose word about the client is taken.
type proxies []netip.Prefix

func (p proxies) trusts(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// peer is the address at the other end of the connection.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// client is the address of the client: the last one in X-Forwarded-For that no trusted proxy has.
func (p proxies) client(r *http.Request) netip.Addr {
	addr := peer(r)
	if !p.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil { // what stands before was written by whoever wrote this
			return addr
		}
		if addr = hop.Unmap().WithZone(""); !p.trusts(addr) {
			return addr
		}
	}
	return addr
}

// scheme is "https" when the client used it, as far as that can be known.
func (p proxies) scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	if p.trusts(peer(r)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		return "https"
	}
	return "http"
}

// host is what the client calls this server, with the port if it named one.
func (p proxies) host(r *http.Request) string {
	if forwarded := r.Header.Get("X-Forwarded-Host"); p.trusts(peer(r)) && forwarded != "" && !strings.ContainsFunc(forwarded, notOfHosts) {
		return forwarded
	}
	return r.Host
}

func notOfHosts(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-:[]_", r)
}

// hintAtProxies says, once, that requests seem to come through a proxy that nobody trusts: all clients behind it share the limits of its
// address then. Only a neighbour can be a proxy; whoever else sends the header has made it up.
func hintAtProxies(trusted proxies, log *slog.Logger) func(http.Handler) http.Handler {
	var once sync.Once
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.Header["X-Forwarded-For"]) > 0 {
				if addr := peer(r); (addr.IsPrivate() || addr.IsLoopback()) && !trusted.trusts(addr) {
					once.Do(func() {
						log.Warn("a proxy is not trusted: all clients behind it are limited as one; set TRUSTED_PROXIES", "address", addr)
					})
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// noteOrigin tells use cases where a request comes from.
func noteOrigin(trusted proxies) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			o := domain.Origin{RequestID: requestIDFrom(r.Context())}
			if addr := trusted.client(r); addr.IsValid() {
				o.Address = addr.String()
			}
			next.ServeHTTP(w, r.WithContext(domain.WithOrigin(r.Context(), o)))
		})
	}
}
