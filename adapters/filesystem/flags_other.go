//go:build !unix

package filesystem

// onlyDirectory: what else there is can be opened without harm there.
const onlyDirectory = 0
