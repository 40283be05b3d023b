// Package forward hands requests to services that run as other processes, and gives their answers back as they come. It keeps connections
// to every address of a service, knows which of them are well, and asks again elsewhere where that can do no harm.
//
// It must not decide who may do what, read a body or change one: both sides of that are adapters/httpapi, before and behind it. What a
// service has answered, failures included, reaches the client as it is.
//
// An address is chosen among those that are well, the less busy one of two picked at random. Probes of /readyz run now and then while
// all is well and every second while something is wrong; requests that fail or wait long have one made at once. An address that can't
// be reached, or answers without the mark of a service of Gaia, is left alone for a while that doubles up to a bound: nobody dials it but
// probes. One that says it is not ready is used when there is no better one, since its own refusal tells more than one made here.
//
// When the process has to stop, requests that may be repeated and streams end at once. What a service has seen and must not see twice is waited
// for a little longer. Whoever gets no answer to it, then or at any other time, is told that its outcome is unknown, and not to send it again.
package forward
