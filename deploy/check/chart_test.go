package check

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of a rendered chart, by their names.
type manifests struct {
	deployments map[string]apps.Deployment
	services    map[string]core.Service
	configs     map[string]core.ConfigMap
	claims      map[string]core.PersistentVolumeClaim
	scalers     map[string]autoscaling.HorizontalPodAutoscaler
	budgets     map[string]policy.PodDisruptionBudget
	policies    map[string]networking.NetworkPolicy
	ingresses   map[string]networking.Ingress
	jobs        map[string]batch.Job
	others      []string // of kinds that are not Kubernetes' own
}

// render renders the chart as helm install does, and reads what comes out strictly: a field that is not there is a fault.
func render(t *testing.T, values map[string]any) manifests {
	t.Helper()
	files, err := tryRender(t, values)
	if err != nil {
		t.Fatal(err)
	}
	m := manifests{
		map[string]apps.Deployment{}, map[string]core.Service{}, map[string]core.ConfigMap{}, map[string]core.PersistentVolumeClaim{},
		map[string]autoscaling.HorizontalPodAutoscaler{}, map[string]policy.PodDisruptionBudget{}, map[string]networking.NetworkPolicy{},
		map[string]networking.Ingress{}, map[string]batch.Job{}, nil,
	}
	for file, text := range files {
		if strings.HasSuffix(file, "NOTES.txt") {
			continue
		}
		for _, document := range regexp.MustCompile(`(?m)^---$`).Split(text, -1) {
			m.read(t, file, document)
		}
	}
	return m
}

// tryRender returns the files of a rendered chart, or why it refuses the values.
func tryRender(t *testing.T, values map[string]any) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(filepath.Join(root, "deploy", "helm", "gaia"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "gaia", Namespace: "gaia", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Engine{Strict: true}.Render(c, all)
}

func (m *manifests) read(t *testing.T, file, document string) {
	t.Helper()
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal([]byte(document), &head); err != nil {
		t.Fatalf("%s: %v\n%s", file, err, document)
	}
	switch head.APIVersion + " " + head.Kind {
	case " ":
	case "apps/v1 Deployment":
		keep(t, m.deployments, document, func(o apps.Deployment) string { return o.Name })
	case "v1 Service":
		keep(t, m.services, document, func(o core.Service) string { return o.Name })
	case "v1 ConfigMap":
		keep(t, m.configs, document, func(o core.ConfigMap) string { return o.Name })
	case "v1 PersistentVolumeClaim":
		keep(t, m.claims, document, func(o core.PersistentVolumeClaim) string { return o.Name })
	case "autoscaling/v2 HorizontalPodAutoscaler":
		keep(t, m.scalers, document, func(o autoscaling.HorizontalPodAutoscaler) string { return o.Name })
	case "policy/v1 PodDisruptionBudget":
		keep(t, m.budgets, document, func(o policy.PodDisruptionBudget) string { return o.Name })
	case "networking.k8s.io/v1 NetworkPolicy":
		keep(t, m.policies, document, func(o networking.NetworkPolicy) string { return o.Name })
	case "networking.k8s.io/v1 Ingress":
		keep(t, m.ingresses, document, func(o networking.Ingress) string { return o.Name })
	case "batch/v1 Job":
		keep(t, m.jobs, document, func(o batch.Job) string { return o.Name })
	case "monitoring.coreos.com/v1 ServiceMonitor":
		m.others = append(m.others, head.Kind)
	default:
		t.Errorf("%s: nobody checks a %s of %s", file, head.Kind, head.APIVersion)
	}
}

func keep[T any](t *testing.T, in map[string]T, document string, name func(T) string) {
	t.Helper()
	var o T
	if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	if _, twice := in[name(o)]; twice || name(o) == "" {
		t.Errorf("two are called %q", name(o))
	}
	in[name(o)] = o
}

var components = []string{"asset", "auth", "chat", "gateway"}

func TestChart(t *testing.T) {
	t.Parallel()
	m := render(t, nil)
	if got := len(m.deployments); got != len(components) {
		t.Errorf("%d deployments", got)
	}
	for _, component := range components {
		name := "gaia-" + component
		d, found := m.deployments[name]
		if !found {
			t.Fatalf("no deployment of %s", component)
		}
		checkPod(t, component, d.Spec.Template.Spec)
		labels := d.Spec.Template.Labels
		if !covers(d.Spec.Selector.MatchLabels, labels) {
			t.Errorf("%s: the deployment does not select its own pods", component)
		}
		checkService(t, component, m.services[name], d)
		if b := m.budgets[name]; b.Spec.MaxUnavailable == nil || !covers(b.Spec.Selector.MatchLabels, labels) {
			t.Errorf("%s has no budget of disruptions", component)
		}
		checkPolicy(t, component, m.policies[name], labels, m.deployments["gaia-gateway"].Spec.Template.Labels)
		checkScaling(t, component, m.scalers, d)
		if r := d.Spec.Strategy.RollingUpdate; r == nil || r.MaxUnavailable.IntValue() != 0 {
			t.Errorf("%s: an update takes pods away before there are new ones", component)
		}
	}
	if len(m.claims) != 1 || len(m.ingresses)+len(m.others) != 0 {
		t.Errorf("%d claims, %d ingresses, others %v", len(m.claims), len(m.ingresses), m.others)
	}
}

// covers reports whether labels have all that a selector asks for, and that this is something.
func covers(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return len(selector) > 0
}

func checkPod(t *testing.T, component string, pod core.PodSpec) {
	t.Helper()
	c, ports := pod.Containers[0], map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for kind, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		want := "/livez"
		if kind == "readiness" {
			want = "/readyz"
		}
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != want || ports[probe.HTTPGet.Port.StrVal] == 0 || probe.HTTPGet.Port.StrVal != "http" {
			t.Errorf("%s: its %s probe: %+v", component, kind, probe)
		}
	}
	checkSecurity(t, component, pod)
	if len(pod.TopologySpreadConstraints) == 0 || pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Errorf("%s: its pods may all be on one machine, or get variables of other services", component)
	}
	if len(c.EnvFrom) != 1 || c.EnvFrom[0].ConfigMapRef == nil {
		t.Errorf("%s takes all of %v", component, c.EnvFrom)
	}
	checkSecrets(t, component, c)
	env := environment(c)
	if env["SERVICES"] != component || env["SERVICE_PORT"] != strconv.Itoa(int(ports["http"])) {
		t.Errorf("%s serves %s at %s, and says %d", component, env["SERVICES"], env["SERVICE_PORT"], ports["http"])
	}
	files := slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == "gaia"
	})
	if files != (component == "asset" || component == "chat") {
		t.Errorf("%s has the files: %v", component, files)
	}
}

// checkSecrets looks whether a container gets the secrets that it needs, and no other.
func checkSecrets(t *testing.T, component string, c core.Container) {
	t.Helper()
	gets := map[string]bool{}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		ref := e.ValueFrom.SecretKeyRef
		if ref == nil || ref.Name != "gaia" || ref.Key != e.Name || ref.Optional == nil || !*ref.Optional || gets[e.Name] {
			t.Errorf("%s: %s comes from %+v", component, e.Name, ref)
		}
		gets[e.Name] = true
	}
	kept := keptFor(t)
	if len(kept) < 25 {
		t.Fatalf("only %v are kept for somebody", slices.Collect(maps.Keys(kept)))
	}
	for name, services := range kept {
		if needs := slices.Contains(services, "every") || slices.Contains(services, component); needs != gets[name] {
			t.Errorf("%s needs %s: %v, and gets it: %v", component, name, needs, gets[name])
		}
		delete(gets, name)
	}
	if len(gets) > 0 {
		t.Errorf("%s gets %v, which nobody keeps for it", component, slices.Collect(maps.Keys(gets)))
	}
}

func checkSecurity(t *testing.T, name string, pod core.PodSpec) {
	t.Helper()
	s, c := pod.SecurityContext, pod.Containers[0]
	if s == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 || s.SeccompProfile == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: %+v", name, s)
	}
	if own := c.SecurityContext; own == nil || *own.AllowPrivilegeEscalation || !*own.ReadOnlyRootFilesystem || !slices.Equal(own.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("%s: %+v", name, own)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: what it uses is not bounded, or the autoscaler has nothing to compare with", name)
	}
}

func environment(c core.Container) map[string]string {
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	return env
}

func checkService(t *testing.T, component string, s core.Service, d apps.Deployment) {
	t.Helper()
	if !covers(s.Spec.Selector, d.Spec.Template.Labels) || len(s.Spec.Ports) == 0 || s.Spec.Ports[0].TargetPort.StrVal != "http" {
		t.Errorf("%s: its service leads elsewhere: %+v", component, s.Spec)
	}
	if headless := s.Spec.ClusterIP == core.ClusterIPNone; headless == (component == "gateway") {
		t.Errorf("%s is headless: %v", component, headless)
	}
}

func checkPolicy(t *testing.T, component string, p networking.NetworkPolicy, own, gateway map[string]string) {
	t.Helper()
	if !covers(p.Spec.PodSelector.MatchLabels, own) || len(p.Spec.Ingress) != 2 {
		t.Fatalf("%s: %+v", component, p.Spec)
	}
	door := p.Spec.Ingress[0]
	if component == "gateway" {
		if len(door.From) != 0 {
			t.Error("clients can't reach the gateway")
		}
		return
	}
	if len(door.From) != 1 || door.From[0].PodSelector == nil || !covers(door.From[0].PodSelector.MatchLabels, gateway) || covers(door.From[0].PodSelector.MatchLabels, own) {
		t.Errorf("%s answers %+v", component, door.From)
	}
}

func checkScaling(t *testing.T, component string, scalers map[string]autoscaling.HorizontalPodAutoscaler, d apps.Deployment) {
	t.Helper()
	h, scaled := scalers["gaia-"+component]
	if want := component == "gateway" || component == "chat"; scaled != want {
		t.Errorf("%s is scaled: %v", component, scaled)
	}
	if scaled == (d.Spec.Replicas != nil) {
		t.Errorf("%s: replicas of the deployment and the autoscaler: one of them decides", component)
	}
	if scaled && (h.Spec.ScaleTargetRef.Name != d.Name || *h.Spec.MinReplicas < 2 || h.Spec.MaxReplicas <= *h.Spec.MinReplicas) {
		t.Errorf("%s: %+v", component, h.Spec)
	}
}

// toClose is what a process may need, in seconds, besides what settings let it wait for; docs/operations.md says for what.
const toClose = 30

// Whoever stops a process gives it the same time: what the defaults let it wait for, with the delay that the chart has.
func TestEverybodyGivesTheSameTimeToStop(t *testing.T) {
	t.Parallel()
	known, need := settings(t), 5+toClose
	for _, name := range []string{"SHUTDOWN_TIMEOUT", "ASSET_GENERATION_PATIENCE"} {
		n, err := strconv.Atoi(known[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		need += n
	}
	for file, line := range map[string]string{
		"compose.yaml": "stop_grace_period: %ds #", "deploy/systemd/gaia.service": "TimeoutStopSec=%d\n", "docs/operations.md": "%d s with `SHUTDOWN_DELAY=5`",
	} {
		if want := fmt.Sprintf(line, need); !strings.Contains(read(t, strings.Split(file, "/")...), want) {
			t.Errorf("%s does not say %q", file, want)
		}
	}
	if got := *render(t, nil).deployments["gaia-asset"].Spec.Template.Spec.TerminationGracePeriodSeconds; got != int64(need) {
		t.Errorf("the chart says %d, not %d", got, need)
	}
}

// Times may have units; one that would be read as 0 is refused.
func TestChartReadsTimes(t *testing.T) {
	t.Parallel()
	with := func(value string) map[string]any {
		return map[string]any{"settings": map[string]any{"SHUTDOWN_TIMEOUT": value}}
	}
	for value, want := range map[string]int64{"40": 75, "40s": 75, "2m": 155} {
		if got := *render(t, with(value)).deployments["gaia-chat"].Spec.Template.Spec.TerminationGracePeriodSeconds; got != want {
			t.Errorf("%s: %d s, not %d", value, got, want)
		}
	}
	if _, err := tryRender(t, with("500ms")); err == nil || !strings.Contains(err.Error(), "settings.SHUTDOWN_TIMEOUT") {
		t.Errorf("500ms: %v", err)
	}
}

// Behind an ingress that nobody trusts, all clients are one address and share its limits.
func TestChartKnowsClientsBehindAnIngress(t *testing.T) {
	t.Parallel()
	ingress := func(proxies string) map[string]any {
		return map[string]any{"ingress": map[string]any{"enabled": true, "trustedProxies": proxies}}
	}
	if _, err := tryRender(t, ingress("")); err == nil || !strings.Contains(err.Error(), "ingress.trustedProxies") {
		t.Errorf("an ingress from anywhere: %v", err)
	}
	for proxies, want := range map[string]string{"10.244.0.0/16": "10.244.0.0/16", "none": ""} {
		if got := render(t, ingress(proxies)).configs["gaia"].Data["TRUSTED_PROXIES"]; got != want {
			t.Errorf("%s: TRUSTED_PROXIES is %q", proxies, got)
		}
	}
}

// A pod is not killed while it still waits for what it is allowed to wait for.
func TestChartGivesPodsTimeToStop(t *testing.T) {
	t.Parallel()
	for _, more := range []map[string]any{nil, {"settings": map[string]any{"SHUTDOWN_TIMEOUT": "100"}}} {
		m := render(t, more)
		config := m.configs["gaia"].Data
		seconds := func(name string) (sum int64) {
			n, err := strconv.Atoi(config[name])
			if err != nil {
				t.Fatal(err)
			}
			return int64(n)
		}
		if seconds("SHUTDOWN_DELAY") < 3 {
			t.Error("a pod is gone before everybody has heard that it is not ready")
		}
		for _, component := range components {
			need := seconds("SHUTDOWN_DELAY") + seconds("SHUTDOWN_TIMEOUT") + toClose
			if component == "asset" {
				need += seconds("ASSET_GENERATION_PATIENCE")
			}
			if got := *m.deployments["gaia-"+component].Spec.Template.Spec.TerminationGracePeriodSeconds; got < need {
				t.Errorf("%s is killed after %d s and may need %d", component, got, need)
			}
		}
	}
}

func TestChartSettings(t *testing.T) {
	t.Parallel()
	m, known := render(t, nil), settings(t)
	check := func(where, name string) {
		if _, is := known[name]; !is {
			t.Errorf("%s: %s is no setting of .env.example", where, name)
		}
	}
	config := m.configs["gaia"].Data
	for name := range config {
		check("ConfigMap", name)
	}
	for component, d := range m.deployments {
		for name := range environment(d.Spec.Template.Spec.Containers[0]) {
			check(component, name)
		}
	}
	for _, component := range []string{"asset", "auth", "chat"} {
		s := m.services["gaia-"+component]
		if want := "http://" + s.Name + ":" + strconv.Itoa(int(s.Spec.Ports[0].Port)); config[strings.ToUpper(component)+"_SERVICE_URL"] != want {
			t.Errorf("the gateway looks for %s at %s, not %s", component, config[strings.ToUpper(component)+"_SERVICE_URL"], want)
		}
	}
	named := regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`).FindAllString(read(t, "deploy", "helm", "gaia", "values.yaml"), -1)
	if len(named) < 8 {
		t.Errorf("values.yaml names %v", named)
	}
	for _, name := range named {
		check("values.yaml", name)
	}
}

func TestChartMigratesFirst(t *testing.T) {
	t.Parallel()
	job := render(t, nil).jobs["gaia-migrate"]
	hooks := job.Annotations["helm.sh/hook"]
	if hooks != "pre-install,pre-upgrade" {
		t.Errorf("it runs at %q", hooks)
	}
	pod := job.Spec.Template.Spec
	checkSecurity(t, "migrate", pod)
	c := pod.Containers[0]
	if !slices.Equal(c.Args, []string{"migrate", "up"}) || len(c.EnvFrom) != 0 {
		t.Errorf("%v with all of %v", c.Args, c.EnvFrom)
	}
	var names []string
	for _, e := range c.Env {
		names = append(names, e.Name)
	}
	if want := []string{"GAIA_DATA_DIR", "DATABASE_URL"}; !slices.Equal(names, want) {
		t.Errorf("it gets %v, not %v", names, want)
	}
	labels := job.Spec.Template.Labels
	for name, s := range render(t, nil).services {
		if covers(s.Spec.Selector, labels) {
			t.Errorf("%s sends requests to it", name)
		}
	}
}

func TestChartWithEverythingAndNothing(t *testing.T) {
	t.Parallel()
	m := render(t, map[string]any{
		"ingress":        map[string]any{"enabled": true, "trustedProxies": "10.0.0.0/8", "className": "nginx", "tlsSecret": "tls", "annotations": map[string]any{"a": "b"}},
		"serviceMonitor": map[string]any{"enabled": true, "labels": map[string]any{"release": "prometheus"}},
		"podAnnotations": map[string]any{"a": "b"}, "nodeSelector": map[string]any{"a": "b"},
		"imagePullSecrets": []any{map[string]any{"name": "pull"}}, "tolerations": []any{map[string]any{"key": "a", "operator": "Exists"}},
		"service":  map[string]any{"annotations": map[string]any{"a": "b"}, "type": "LoadBalancer"},
		"storage":  map[string]any{"existingClaim": "mine", "className": "fast"},
		"affinity": map[string]any{"nodeAffinity": map[string]any{}}, "image": map[string]any{"tag": "v9"},
		"services": map[string]any{"chat": map[string]any{"settings": map[string]any{"LOG_LEVEL": "DEBUG"}, "secret": "tools"}},
	})
	chat := m.deployments["gaia-chat"].Spec.Template
	if len(m.ingresses) != 1 || len(m.others) != 1 || len(m.claims) != 0 || chat.Spec.Containers[0].Image != "gaia:v9" || chat.Annotations["a"] != "b" ||
		environment(chat.Spec.Containers[0])["LOG_LEVEL"] != "DEBUG" || len(chat.Spec.Containers[0].EnvFrom) != 2 ||
		chat.Spec.Containers[0].EnvFrom[1].SecretRef.Name != "tools" || len(m.deployments["gaia-auth"].Spec.Template.Spec.Containers[0].EnvFrom) != 1 {
		t.Errorf("%v %v %v %+v", slices.Collect(maps.Keys(m.ingresses)), m.others, slices.Collect(maps.Keys(m.claims)), chat)
	}
	m = render(t, map[string]any{"storage": map[string]any{"enabled": false}, "networkPolicy": map[string]any{"enabled": false}})
	if len(m.claims)+len(m.policies) != 0 {
		t.Error("what is turned off is there")
	}
}
