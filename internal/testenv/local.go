package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// A launch is everything needed to start a server process, and to start it
// again on the same port and data.
type launch struct {
	path       string
	args       []string
	credential *syscall.Credential
	// farewell ends the server when its test process has died. PostgreSQL needs
	// SIGQUIT: killed outright, it leaves a System V memory segment behind.
	farewell string
	// afterCrash, when set, removes what a killed server left outside its directory.
	afterCrash func()
}

// Only what protects from a crash of the machine is traded for speed: what a
// killed server has written is with the kernel already. synchronous_commit stays
// on, because without it the last commits are still in the server's own memory.
var postgresSettings = []string{"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300"}

func redisSettings(secret string) []string {
	return []string{"--requirepass", secret, "--save", "", "--appendonly", "yes", "--appendfsync", "no"}
}

func natsSettings(secret string) []string {
	return []string{"-js", "--user", secret, "--pass", secret}
}

func localRedis(dir, secret string, port int) (launch, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return launch{}, err
	}
	args := append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir}, redisSettings(secret)...)
	return launch{path: path, args: args, farewell: "KILL"}, nil
}

func localNATS(dir, secret string, port int) (launch, error) {
	path, err := binary("nats-server", "/usr/sbin")
	if err != nil {
		return launch{}, err
	}
	args := append([]string{"-a", "127.0.0.1", "-p", strconv.Itoa(port), "-sd", filepath.Join(dir, "jetstream")}, natsSettings(secret)...)
	return launch{path: path, args: args, farewell: "KILL"}, nil
}

// localS3 finds the program that the Makefile builds. Facts about files go beside them: not every file system has attributes for that.
func localS3(dir, secret string, port int) (launch, error) {
	path, err := binary("versitygw", filepath.Join(ModuleRoot(), "bin"))
	if err != nil {
		return launch{}, err
	}
	files, facts := filepath.Join(dir, "files"), filepath.Join(dir, "facts")
	if err := errors.Join(os.MkdirAll(files, 0o700), os.MkdirAll(facts, 0o700)); err != nil {
		return launch{}, err
	}
	args := []string{
		"--access", secret, "--secret", secret, "--port", "127.0.0.1:" + strconv.Itoa(port), "--keep-alive", "--quiet",
		"posix", "--sidecar", facts, files,
	}
	return launch{path: path, args: args, farewell: "KILL"}, nil
}

// ModuleRoot is the folder of go.mod: tests run in that of their package.
func ModuleRoot() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return ""
}

func localPostgres(dir, secret string, port int) (launch, error) {
	const debian = "/usr/lib/postgresql/*/bin"
	server, err := binary("postgres", debian)
	if err != nil {
		return launch{}, err
	}
	initdb, err := binary("initdb", debian)
	if err != nil {
		return launch{}, err
	}
	credential, err := ordinaryUser()
	if err != nil {
		return launch{}, err
	}
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); os.IsNotExist(err) {
		if err := initialise(initdb, data, secret, credential); err != nil {
			return launch{}, err
		}
	}
	args := append([]string{
		"-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", // a socket's path is limited to about 100 bytes; a test directory's is not
	}, postgresSettings...)
	return launch{path: server, args: args, credential: credential, farewell: "QUIT",
		afterCrash: func() { removeSegment(filepath.Join(data, "postmaster.pid")) }}, nil
}

// removeSegment removes the System V segment that line 7 of the lock file names
// (key and id). The kernel keeps it for ever otherwise, and allows 4096 of them.
func removeSegment(lockFile string) {
	lock, err := os.ReadFile(lockFile)
	if err != nil {
		return // it ended in order
	}
	lines := strings.Split(string(lock), "\n")
	if len(lines) < 7 {
		return
	}
	if key := strings.Fields(lines[6]); len(key) == 2 {
		_ = exec.Command("ipcrm", "-m", key[1]).Run()
	}
}

func initialise(initdb, data, superuser string, credential *syscall.Credential) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if credential != nil {
		if err := os.Chown(data, int(credential.Uid), int(credential.Gid)); err != nil {
			return err
		}
	}
	locale := "en_US.UTF-8"
	if runtime.GOOS == "linux" {
		locale = "C.UTF-8" // the only UTF-8 locale that every Linux has
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, initdb, "-D", data, "-U", superuser, "-A", "trust",
		"-E", "UTF8", "--locale="+locale, "--no-sync", "--no-instructions")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	cmd.Dir = data
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// ordinaryUser is whom PostgreSQL runs as: it refuses to be root.
func ordinaryUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no user postgres or nobody: %w", err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// binary finds a program on PATH, or where a package puts it off PATH.
func binary(name, elsewhere string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	found, _ := filepath.Glob(filepath.Join(elsewhere, name))
	if len(found) == 0 {
		return "", err
	}
	return found[len(found)-1], nil
}
