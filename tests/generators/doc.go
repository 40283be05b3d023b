// Package generators plays outside services that make assets, at the socket: Meshy, OpenAI Images and a Midjourney proxy, in the forms that
// they publish. It counts what each order would cost. It must not know anything of Gaia.
package generators
