// Package filesystem implements ports.FileTree over a directory of the machine.
//
// Every path is resolved by os.Root, one name after the other from an open directory, so that neither ".." nor a symbolic link leads out of
// the root, whoever changes what is there meanwhile. What is opened is judged by its handle: a path that was a file a moment ago may be
// something else now. The package must not touch a file by a path of the whole machine, except for the root itself, which the operator
// has named and is trusted with: what is mounted below it, and hard links in it, belong to it.
package filesystem
