//go:build !unix

package folder

// notDirectory is of the systems that tell this from an absent file.
func notDirectory(error) bool { return false }
