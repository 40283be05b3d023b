package check

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
)

// Who is started by which profile. The platform's is the one that .env of scripts/setup.sh names: `docker compose up`.
var (
	infra    = []string{"db", "nats", "redis"}
	platform = append([]string{"asset-service", "auth-service", "chat-service", "gateway", "migrate", "supabase-auth", "supabase-schema"}, infra...)
	watched  = append([]string{"grafana", "otel-collector", "prometheus"}, platform...)
	profiles = map[string][]string{
		"":              infra,
		"platform":      platform,
		"infra":         infra,
		"test":          append([]string{"test"}, infra...),
		"observability": watched,
	}
)

// program are the services that run Gaia for as long as they live, with their ports inside the network.
var program = map[string]string{"gateway": "8666", "auth-service": "8000", "asset-service": "8000", "chat-service": "8000"}

func loadCompose(t *testing.T, env map[string]string, profiles ...string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: []byte(read(t, "compose.yaml"))}},
	}, func(o *loader.Options) {
		o.Profiles = profiles
		o.SkipResolveEnvironment = true // .env of this machine is none of ours
	})
}

func everything(t *testing.T) *types.Project {
	t.Helper()
	p, err := loadCompose(t, setUp(t), "*")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryProfileLoads(t *testing.T) {
	t.Parallel()
	env := setUp(t)
	if env["COMPOSE_PROFILES"] != "platform" {
		t.Errorf("docker compose up starts the profiles %q", env["COMPOSE_PROFILES"])
	}
	used := map[string]bool{}
	for profile, want := range profiles {
		p, err := loadCompose(t, env, profile)
		if err != nil {
			t.Errorf("profile %q: %v", profile, err)
			continue
		}
		if got := slices.Sorted(maps.Keys(p.Services)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("profile %q starts %v, not %v", profile, got, want)
		}
		for _, s := range p.AllServices() {
			for _, named := range s.Profiles {
				used[named] = true
			}
		}
	}
	for named := range used {
		if _, known := profiles[named]; !known {
			t.Errorf("profile %q is not checked", named)
		}
	}
}

// Naming a service starts it and what it needs, whatever profile is on: the gateway brings no other service with it.
func TestSomeServices(t *testing.T) {
	t.Parallel()
	all, err := loadCompose(t, setUp(t))
	if err != nil {
		t.Fatal(err)
	}
	enabled, err := all.WithServicesEnabled("gateway", "auth-service")
	if err != nil {
		t.Fatal(err)
	}
	p, err := enabled.WithSelectedServices([]string{"gateway", "auth-service"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"auth-service", "db", "gateway", "migrate", "nats", "redis", "supabase-auth", "supabase-schema"}
	if got := slices.Sorted(maps.Keys(p.Services)); !slices.Equal(got, want) {
		t.Errorf("it starts %v, not %v", got, want)
	}
}

func TestEveryVariableOfCompose(t *testing.T) {
	t.Parallel()
	if _, err := loadCompose(t, nil, "platform"); err == nil || !strings.Contains(err.Error(), "scripts/setup.sh") {
		t.Errorf("without .env: %v", err)
	}
	model, err := loader.LoadModelWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(read(t, "compose.yaml"))}},
	}, func(o *loader.Options) {
		o.SkipInterpolation, o.SkipValidation, o.SkipNormalization = true, true, true
		o.SetProjectName("gaia", true)
	})
	if err != nil {
		t.Fatal(err)
	}
	made, found := setUp(t), template.ExtractVariables(model, template.DefaultPattern)
	if len(found) < 10 {
		t.Fatalf("only %v", slices.Collect(maps.Keys(found)))
	}
	for name, v := range found {
		switch {
		case made[name] != "":
			if !v.Required && v.DefaultValue == "" {
				t.Errorf("${%s} is empty without .env, and nobody is told: ${%s:?run scripts/setup.sh}", name, name)
			}
		case v.Required:
			t.Errorf("${%s} is required, and scripts/setup.sh does not make it", name)
		case v.DefaultValue == "" && !strings.Contains(read(t, "compose.yaml"), "${"+name+":-}"):
			t.Errorf("${%s} has no default", name)
		}
	}
}

func TestEverySettingOfCompose(t *testing.T) {
	t.Parallel()
	p, known := everything(t), settings(t)
	for name, s := range p.Services {
		if _, runs := program[name]; !runs && name != "migrate" {
			continue
		}
		for variable := range s.Environment {
			if _, is := known[variable]; !is {
				t.Errorf("%s: %s is no setting of .env.example", name, variable)
			}
		}
	}
	for name, port := range program {
		env := p.Services[name].Environment
		value := func(name string) string { return *cmp.Or(env[name], new(string)) }
		if value("SERVICE_HOST") != "0.0.0.0" || value("SERVICE_PORT") != port || value("SERVICES") != strings.TrimSuffix(name, "-service") {
			t.Errorf("%s serves %s at %s:%s", name, value("SERVICES"), value("SERVICE_HOST"), value("SERVICE_PORT"))
		}
		if name != "gateway" && *p.Services["gateway"].Environment[strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_URL"] != "http://"+name+":"+port {
			t.Errorf("the gateway looks for %s elsewhere", name)
		}
	}
}

// others are the secrets of containers that do not run Gaia, and of what all that do reach: the database.
var others = map[string][]string{
	"db": {"POSTGRES_PASSWORD"}, "migrate": {"POSTGRES_PASSWORD"}, "supabase-schema": {"POSTGRES_PASSWORD", "SUPABASE_DB_PASSWORD"},
	"supabase-auth": {"SUPABASE_DB_PASSWORD", "SUPABASE_JWT_SECRET"}, "grafana": {"GRAFANA_PASSWORD"},
	"gateway": {"POSTGRES_PASSWORD"}, "auth-service": {"POSTGRES_PASSWORD"}, "asset-service": {"POSTGRES_PASSWORD"}, "chat-service": {"POSTGRES_PASSWORD"},
}

// keptApart are all secrets in .env, each with a value of its own, and for whom they are.
func keptApart(t *testing.T) (env map[string]string, who map[string][]string) {
	t.Helper()
	env, who = setUp(t), map[string][]string{}
	for name, services := range keptFor(t) {
		who[name] = services
		if known := map[string]bool{"DATABASE_URL": true, "REDIS_URL": true, "NATS_URL": true}; !known[name] { // compose.yaml says where these are
			env[name] = "secret-of-" + name + "."
		}
	}
	for _, names := range others {
		for _, name := range names {
			who[name] = append([]string{}, who[name]...)
		}
	}
	return env, who
}

// A container holds no secret that it has no use for, under whatever name, and every one that it needs; what is no secret reaches all that run Gaia.
func TestSecretsOfCompose(t *testing.T) {
	t.Parallel()
	env, who := keptApart(t)
	env["STREAM_PING_INTERVAL"] = "3"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env.chat"), []byte("OF_A_TOOL=of chat\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(read(t, "compose.yaml"))}},
	}, func(o *loader.Options) { o.Profiles = []string{"*"} })
	if err != nil {
		t.Fatal(err)
	}
	if len(who) < 25 {
		t.Fatalf("only %v are kept for somebody", slices.Collect(maps.Keys(who)))
	}
	for name, s := range p.Services {
		service := strings.TrimSuffix(name, "-service")
		for secret, services := range who {
			needs := program[name] != "" && (slices.Contains(services, "every") || slices.Contains(services, service))
			if env[secret] == "" {
				continue
			}
			for variable, value := range s.Environment {
				if value != nil && strings.Contains(*value, env[secret]) && !needs && !slices.Contains(others[name], secret) {
					t.Errorf("%s has no use for %s, and gets it as %s", name, secret, variable)
				}
			}
			if value := s.Environment[secret]; needs && (value == nil || *value != env[secret]) {
				t.Errorf("%s does not get %s of .env", name, secret)
			}
		}
		if program[name] == "" {
			continue
		}
		if value := s.Environment["STREAM_PING_INTERVAL"]; value == nil || *value != "3" {
			t.Errorf("%s does not get settings of .env", name)
		}
		if value := s.Environment["LOG_LEVEL"]; value != nil {
			t.Errorf("%s gets %q, which .env does not say", name, *value)
		}
		if value := s.Environment["OF_A_TOOL"]; (value != nil) != (service == "chat") {
			t.Errorf("%s gets %v of a tool", name, value)
		}
		if len(s.EnvFiles) != 1 || filepath.Base(s.EnvFiles[0].Path) != ".env."+service || s.EnvFiles[0].Required {
			t.Errorf("%s reads %v", name, s.EnvFiles)
		}
	}
}

// unchecked are services without a health check that go on running, and why.
var unchecked = map[string]string{"otel-collector": "its image holds one program, which can't ask itself"}

func TestEveryHealthCheck(t *testing.T) {
	t.Parallel()
	for name, s := range everything(t).Services {
		check := s.HealthCheck
		switch {
		case s.Restart == "no" || unchecked[name] != "":
			if check == nil || !check.Disable {
				t.Errorf("%s: its health check is not turned off, and that of its image may be another's", name)
			}
		case check == nil || check.Disable || len(check.Test) < 2:
			t.Errorf("%s has no health check", name)
		case check.Interval == nil || check.Timeout == nil || check.Retries == nil || *check.Timeout > *check.Interval:
			t.Errorf("%s: interval, timeout and retries of its health check", name)
		case program[name] != "" && !slices.Equal(check.Test, []string{"CMD", "gaia", "health"}):
			t.Errorf("%s is checked with %v", name, check.Test)
		case strings.HasPrefix(s.Image, "gaia") && check.Test[0] != "CMD":
			t.Errorf("%s: its image has no shell for %v", name, check.Test)
		}
	}
}

func TestPortsOfCompose(t *testing.T) {
	t.Parallel()
	published := map[string]string{}
	for name, s := range everything(t).Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to other machines", name, port.Published)
			}
			if other := published[port.Published]; other != "" {
				t.Errorf("%s and %s both want port %s", name, other, port.Published)
			}
			published[port.Published] = name + ":" + strconv.Itoa(int(port.Target))
		}
		if name != "gateway" && program[name] != "" && (len(s.Ports) > 0 || s.ContainerName != "") {
			t.Errorf("%s can't be scaled", name)
		}
	}
	for port, want := range map[string]string{"8666": "gateway:8666", "8222": "nats:8222"} {
		if published[port] != want {
			t.Errorf("port %s is that of %q", port, published[port])
		}
	}
}

func TestDependenciesOfCompose(t *testing.T) {
	t.Parallel()
	p := everything(t)
	var visit func(name string, path []string)
	done := map[string]bool{}
	visit = func(name string, path []string) {
		if slices.Contains(path, name) {
			t.Fatalf("a circle: %v", append(path, name))
		}
		if done[name] {
			return
		}
		done[name] = true
		s := p.Services[name]
		for on, how := range s.DependsOn {
			other, there := p.Services[on]
			oneShot := other.Restart == "no"
			switch {
			case !there:
				t.Errorf("%s waits for %s, which is not there", name, on)
			case how.Condition == types.ServiceConditionCompletedSuccessfully != oneShot:
				t.Errorf("%s waits for %s until it is %s", name, on, how.Condition)
			case how.Condition == types.ServiceConditionHealthy && (other.HealthCheck == nil || other.HealthCheck.Disable):
				t.Errorf("%s waits for the health of %s, which is not checked", name, on)
			}
			for _, profile := range s.Profiles {
				if !other.HasProfile([]string{profile}) {
					t.Errorf("%s waits for %s, which the profile %s does not start", name, on, profile)
				}
			}
			visit(on, append(path, name))
		}
	}
	for name := range p.Services {
		visit(name, nil)
	}
	for name := range program {
		if _, waits := p.Services[name].DependsOn["migrate"]; !waits {
			t.Errorf("%s does not wait for the schema", name)
		}
	}
}

var exactTag = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?$`)

func TestContainersAreBounded(t *testing.T) {
	t.Parallel()
	defaults := settings(t)
	var stopping time.Duration
	for _, name := range []string{"SHUTDOWN_DELAY", "SHUTDOWN_TIMEOUT", "ASSET_GENERATION_PATIENCE"} {
		n, err := strconv.Atoi(defaults[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		stopping += time.Duration(n) * time.Second
	}
	for name, s := range everything(t).Services {
		if s.Build == nil && !exactTag.MatchString(s.Image) {
			t.Errorf("%s: %s is not one image for ever", name, s.Image)
		}
		if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("%s: its log may fill the disk", name)
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 {
			t.Errorf("%s may use all memory", name)
		}
		if s.Restart == "" || s.Privileged || s.NetworkMode == "host" {
			t.Errorf("%s: restart %q, privileged %v, network %q", name, s.Restart, s.Privileged, s.NetworkMode)
		}
		if name != "test" && !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges", name)
		}
		if program[name] == "" && name != "migrate" {
			continue
		}
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || len(s.Tmpfs) == 0 {
			t.Errorf("%s: read-only %v, without %v, tmpfs %v", name, s.ReadOnly, s.CapDrop, s.Tmpfs)
		}
		if name != "migrate" && (s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < stopping) {
			t.Errorf("%s is killed after %v, and may need %v", name, s.StopGracePeriod, stopping)
		}
	}
}

// The image is made without /data being written to: what is written there needs a volume or memory.
func TestDataOfContainers(t *testing.T) {
	t.Parallel()
	p := everything(t)
	for name := range program {
		s := p.Services[name]
		volume := slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == "/data" })
		memory := slices.ContainsFunc(s.Tmpfs, func(m string) bool {
			return strings.HasPrefix(m, "/data:") && strings.Contains(m, "uid=65532")
		})
		if volume == memory {
			t.Errorf("%s: /data is a volume: %v, in memory: %v", name, volume, memory)
		}
		if replicated := name == "asset-service" || name == "chat-service"; replicated != volume {
			t.Errorf("%s: its replicas see different files", name)
		}
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: Docker would make a folder of %v", name, err)
			}
		}
	}
}
