// Package procedural is the built-in ports.AssetGenerator: it makes models, pictures and sounds from the words of a request and a seed, by
// arithmetic alone. It costs nothing, needs no network, and the same request with the same seed gives the same bytes on every machine.
//
// The bytes depend on nothing else: not on the clock, the order of maps, or how a processor rounds. For the last reason every product of
// floating-point numbers is rounded before it is added to something (mul, or a conversion): some processors would join both otherwise. A
// test finds the products that are not.
//
// The package must not keep anything between two calls, and must not call anybody.
package procedural
