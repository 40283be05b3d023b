// Package check holds tests alone: of the files that containers are made and run from, read by the libraries that Docker, Compose and Helm
// themselves read them with, and of the size of the program. It starts nothing and reaches nobody.
package check
