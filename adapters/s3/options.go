package s3

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Options say where files are kept and how one gets in.
type Options struct {
	Endpoint  string // host, and the port if it is another than usual
	Mount     string // path below which the service is, such as /storage/v1/s3; usually empty
	Bucket    string
	Region    string // empty: the one that the host names, else us-east-1
	AccessKey string
	SecretKey string
	Insecure  bool // without TLS

	Timeout time.Duration // of each request, and of silence while a file is read; 30 s
	Part    int           // bytes that are sent in one request, and kept in memory for that; 8 MiB

	// Observe is told of each request before it is made, by what it is for: never by a key or an address. It returns the context that the
	// request goes on with, and what is called at its end. nil: nobody does.
	Observe func(ctx context.Context, operation string) (context.Context, func(error))
}

// minPart is the smallest that S3 takes for a part that is not the last.
const minPart = 5 << 20

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.Part = max(cmp.Or(o.Part, 8<<20), minPart)
	if o.Region == "" && !strings.HasSuffix(o.Endpoint, ".amazonaws.com") {
		o.Region = "us-east-1"
	}
	return o
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ParseURL reads s3://access_key:secret_key@host:port/bucket?region=…&insecure=true. The service may be below a path of its host, which
// stands before the bucket. Without a bucket it is the one given. Errors never hold any of the URL: it has a secret.
func ParseURL(raw, bucket string) (Options, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Options{}, errors.New("the storage URL can't be read: characters in its keys have to be escaped, such as / by %2F")
	}
	o := Options{Endpoint: u.Host, AccessKey: u.User.Username(), Bucket: bucket}
	o.SecretKey, _ = u.User.Password()
	path := strings.TrimPrefix(u.Path, "/")
	if at := strings.LastIndexByte(path, '/'); at >= 0 {
		o.Mount, path = "/"+path[:at], path[at+1:]
	}
	o.Bucket = cmp.Or(path, bucket)
	switch {
	case u.Scheme != "s3":
		return Options{}, errors.New("the storage URL has to begin with s3://")
	case u.Hostname() == "":
		return Options{}, errors.New("the storage URL names no host")
	case o.AccessKey == "" || o.SecretKey == "":
		return Options{}, errors.New("the storage URL needs access_key:secret_key@ before its host")
	case !bucketName.MatchString(o.Bucket):
		return Options{}, errors.New("the storage URL names no bucket, or one that can't be: 3 to 63 lower-case letters, digits, dots and hyphens")
	case u.Fragment != "":
		return Options{}, errors.New("the storage URL has a fragment: # has to be escaped by %23")
	}
	return o, o.readQuery(u.RawQuery)
}

func (o *Options) readQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("the query of the storage URL can't be read")
	}
	for name, values := range query {
		switch name {
		case "region":
			o.Region = values[0]
		case "insecure":
			if o.Insecure, err = strconv.ParseBool(values[0]); err != nil {
				return errors.New("insecure in the storage URL has to be true or false")
			}
		default:
			return errors.New("the storage URL has a parameter that is not known: there are region and insecure")
		}
	}
	return nil
}
