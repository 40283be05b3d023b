// Package httpapi serves the contract: it turns requests into calls of the use cases and their results into responses. Types, router and
// strict handlers are generated from api/openapi.yaml; what stands here by hand is the middleware, the mapping between API and domain, and
// the event streams.
//
// It must not hold rules of the domain, must not know ports or other adapters, and answers no error by any way but its one error writer.
package httpapi
