package check

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const manifests = "../kubernetes"

// closing is how long a server takes at the most to end what runs in the background,
// after --drain-delay and --grace; see OVERLOAD.md.
const closing = 20 * time.Second

// program is the server that the files are for.
var program = func() string {
	path, err := filepath.Abs("../../../../bin/tillbook")
	if err != nil {
		panic(err)
	}
	return path
}()

// decode reads a manifest, and refuses fields that Kubernetes doesn't know.
func decode[T any](t *testing.T, name string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manifests, name))
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := yaml.UnmarshalStrict(text, &out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

func TestManifestsAreWhatKubernetesReads(t *testing.T) {
	known := map[string]func(t *testing.T, name string) (kind, apiVersion, object string){
		"deployment.yaml": described[appsv1.Deployment], "migrate.yaml": described[batchv1.Job],
		"service.yaml": described[corev1.Service], "config.yaml": described[corev1.ConfigMap],
		"disruption.yaml": described[policyv1.PodDisruptionBudget], "autoscaler.yaml": described[autoscalingv2.HorizontalPodAutoscaler],
		"network.yaml": described[networkingv1.NetworkPolicy],
	}
	files, err := os.ReadDir(manifests)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		describe := known[f.Name()]
		if describe == nil {
			t.Errorf("nothing checks %s", f.Name())
			continue
		}
		kind, version, object := describe(t, f.Name())
		if kind == "" || version == "" || len(validation.IsDNS1123Label(object)) > 0 {
			t.Errorf("%s is a %q of %q with the name %q", f.Name(), kind, version, object)
		}
	}
}

// described decodes a manifest and says what it is.
func described[T any](t *testing.T, name string) (kind, apiVersion, object string) {
	t.Helper()
	decode[T](t, name)
	head := decodeLoosely(t, name)
	if want := typeName[T](); want != head.Kind {
		t.Errorf("%s says it is a %s, and is decoded as a %s", name, head.Kind, want)
	}
	return head.Kind, head.APIVersion, head.Metadata.Name
}

func TestSelectorsFindTheServersPods(t *testing.T) {
	d := decode[appsv1.Deployment](t, "deployment.yaml")
	labels := d.Spec.Template.Labels
	for name, selector := range map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels, "service": decode[corev1.Service](t, "service.yaml").Spec.Selector,
		"disruption budget": decode[policyv1.PodDisruptionBudget](t, "disruption.yaml").Spec.Selector.MatchLabels,
		"network policy":    decode[networkingv1.NetworkPolicy](t, "network.yaml").Spec.PodSelector.MatchLabels,
		"spread":            d.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		if len(selector) == 0 {
			t.Errorf("the %s selects everything", name)
		}
		for key, value := range selector {
			if labels[key] != value {
				t.Errorf("the %s looks for %s=%s, and pods have %q", name, key, value, labels[key])
			}
		}
	}
	scaler := decode[autoscalingv2.HorizontalPodAutoscaler](t, "autoscaler.yaml").Spec
	if to := scaler.ScaleTargetRef; to.Name != d.Name || to.Kind != "Deployment" {
		t.Errorf("the autoscaler scales %+v", to)
	}
	served, err := os.ReadFile("../../../../server/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	if by := scaler.Metrics[0].Pods; by == nil || !bytes.Contains(served, []byte("| `"+by.Metric.Name+"` |")) {
		t.Errorf("the autoscaler goes by %+v, which no replica serves", by)
	}
}

func TestThePodSuitsTheServer(t *testing.T) {
	d := decode[appsv1.Deployment](t, "deployment.yaml")
	settings := decode[corev1.ConfigMap](t, "config.yaml").Data
	pod, server := d.Spec.Template.Spec, d.Spec.Template.Spec.Containers[0]

	drain, grace := duration(t, settings["TILLBOOK_DRAIN_DELAY"]), duration(t, settings["TILLBOOK_GRACE"])
	if patience := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; patience <= drain+grace+closing {
		t.Errorf("a pod is killed after %v, though it takes %v to drain, %v to end and %v to close", patience, drain, grace, closing)
	}
	probe := server.ReadinessProbe
	if noticed := time.Duration(probe.PeriodSeconds*probe.FailureThreshold) * time.Second; noticed >= drain {
		t.Errorf("it takes %v to see that a replica leaves, which waits for %v", noticed, drain)
	}
	if probe.HTTPGet.Path != "/readyz" || server.LivenessProbe.HTTPGet.Path != "/healthz" || server.StartupProbe.HTTPGet.Path != "/healthz" {
		t.Error("a probe looks at the wrong place")
	}
	for _, p := range []*corev1.Probe{probe, server.LivenessProbe, server.StartupProbe} {
		if !slices.ContainsFunc(server.Ports, func(port corev1.ContainerPort) bool { return port.Name == p.HTTPGet.Port.StrVal }) {
			t.Errorf("there is no port %s to probe", p.HTTPGet.Port.StrVal)
		}
	}
	if s := server.SecurityContext; !*pod.SecurityContext.RunAsNonRoot || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || s.Capabilities.Drop[0] != "ALL" {
		t.Error("the server has rights that it doesn't need")
	}
	limits := make(map[string]string)
	for _, e := range server.Env {
		limits[e.Name] = e.Value
	}
	memory := server.Resources.Limits.Memory().Value()
	processors, err := strconv.Atoi(limits["GOMAXPROCS"])
	if hashing := int64(processors/2) * 46 << 20; err != nil || hashing > memory/4 {
		t.Errorf("GOMAXPROCS is %q, with which passwords are hashed in up to %d of %d bytes", limits["GOMAXPROCS"], hashing, memory)
	}
	if soft, err := resource.ParseQuantity(strings.TrimSuffix(limits["GOMEMLIMIT"], "B")); err != nil || soft.Value() >= memory {
		t.Errorf("GOMEMLIMIT is %q, and the container may have %d bytes", limits["GOMEMLIMIT"], memory)
	}
	folder := server.VolumeMounts[0].MountPath
	for _, path := range regexp.MustCompile(`/run/[^&?"]*`).FindAllString(settings["TILLBOOK_SECRET_FILE"]+" "+settings["TILLBOOK_DATABASE_URL"], -1) {
		name, _ := filepath.Rel(folder, strings.TrimSpace(strings.Fields(path)[0]))
		if !slices.ContainsFunc(pod.Volumes[0].Secret.Items, func(k corev1.KeyToPath) bool { return k.Path == name }) {
			t.Errorf("%s is not in the secret", path)
		}
	}
}

// What the settings name is within reach, and so is what those name that are there as an
// example.
func TestTheNetworkReachesWhatTheSettingsName(t *testing.T) {
	egress := decode[networkingv1.NetworkPolicy](t, "network.yaml").Spec.Egress
	var reached []string
	for name, value := range allSettings(t) {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "postgres": "5432"}[u.Scheme]
		}
		_, namespace, _ := strings.Cut(u.Hostname(), ".")
		if !slices.ContainsFunc(egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return leads(rule, namespace, port)
		}) {
			t.Errorf("%s is %s, which the network policy doesn't let the server reach", name, value)
		}
		reached = append(reached, u.Scheme)
	}
	slices.Sort(reached)
	if want := []string{"hcvault", "http", "https", "postgres"}; !slices.Equal(reached, want) {
		t.Errorf("the settings name %v, not %v", reached, want)
	}
}

// leads tells whether a rule lets through to a port of something, which is in a namespace
// if the rule has one.
func leads(rule networkingv1.NetworkPolicyEgressRule, namespace, port string) bool {
	return slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool {
		return p.Port.String() == port && *p.Protocol == corev1.ProtocolTCP
	}) &&
		slices.ContainsFunc(rule.To, func(p networkingv1.NetworkPolicyPeer) bool {
			return p.NamespaceSelector == nil || p.NamespaceSelector.MatchLabels[corev1.LabelMetadataName] == namespace
		})
}

func TestTheDatabaseHasRoomForAllReplicas(t *testing.T) {
	most := number(t, "../../patroni/patroni.yaml", `max_connections: (\d+)`)
	each := number(t, "../../../../server/OVERLOAD.md", `plan for (\d+) a replica`)
	replicas := int(decode[autoscalingv2.HorizontalPodAutoscaler](t, "autoscaler.yaml").Spec.MaxReplicas) +
		decode[appsv1.Deployment](t, "deployment.yaml").Spec.Strategy.RollingUpdate.MaxSurge.IntValue()
	if left := most - replicas*each; left < 10 {
		t.Errorf("%d replicas of %d connections each leave %d of %d to people and backups", replicas, each, left, most)
	}
}

func TestEverySettingIsOneOfTheServers(t *testing.T) {
	help, err := exec.Command(program, "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("run make build first: %v: %s", err, help)
	}
	unit, err := os.ReadFile("../systemd/tillbook.service")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`TILLBOOK_[A-Z_]+`).FindAllString(string(unit), -1)
	for name := range allSettings(t) {
		if strings.HasPrefix(name, "TILLBOOK_") {
			names = append(names, name)
		}
	}
	flags := regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(regexp.MustCompile(`(?m)^ExecStart=.*`).FindString(string(unit)), -1)
	for _, name := range names {
		flags = append(flags, "--"+strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "TILLBOOK_")), "_", "-"))
	}
	for _, flag := range flags {
		if !regexp.MustCompile(regexp.QuoteMeta(flag)+`\b`).Match(help) && flag != "--" {
			t.Errorf("the server has no %s", flag)
		}
	}
}

func TestTheUnitIsWhatSystemdReads(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze checks the unit: apt-get install systemd")
	}
	text, err := os.ReadFile("../systemd/tillbook.service")
	if err != nil {
		t.Fatal(err)
	}
	setting := func(name string) time.Duration {
		found := regexp.MustCompile(regexp.QuoteMeta(name) + `[= ](\S+)`).FindSubmatch(text)
		if found == nil {
			t.Fatalf("the unit has no %s", name)
		}
		return duration(t, string(found[1]))
	}
	if patience, most := setting("TimeoutStopSec"), setting("--drain-delay")+setting("--grace")+closing; patience <= most {
		t.Errorf("a replica is killed after %v, though it may take %v to end", patience, most)
	}
	if regexp.MustCompile(`(?m)^ProcSubset=pid`).Match(text) {
		t.Error("the server can't read net.core.somaxconn, and takes 128 instead")
	}
	// The program has to be there, and is elsewhere.
	text = bytes.ReplaceAll(text, []byte("/usr/local/bin/tillbook"), []byte(program))
	unit := filepath.Join(t.TempDir(), "tillbook.service")
	if err := os.WriteFile(unit, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", "--man=no", "--recursive-errors=no", unit},
		// Exposure of 0 to 100; a service without any of these settings has 96.
		{"security", "--offline=true", "--threshold=20", "--no-pager", unit},
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && bytes.Contains(out, []byte("tillbook.service:")) {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

func TestTheContainerfileIsWhatBuildKitReads(t *testing.T) {
	file, err := os.Open("../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Warnings) > 0 || len(stages) != 2 {
		t.Errorf("%d stages, warnings %v", len(stages), parsed.Warnings)
	}
	user, root := "", "../../../.."
	for _, command := range stages[1].Commands {
		if u, ok := command.(*instructions.UserCommand); ok {
			user = u.User
		}
	}
	if d := decode[appsv1.Deployment](t, "deployment.yaml"); user != "65532:65532" || *d.Spec.Template.Spec.SecurityContext.RunAsUser != 65532 {
		t.Errorf("it runs as %q", user)
	}
	toolchain := ""
	for _, command := range stages[0].Commands {
		if e, ok := command.(*instructions.EnvCommand); ok && e.Env[0].Key == "GOTOOLCHAIN" {
			toolchain = e.Env[0].Value
		}
		if c, ok := command.(*instructions.CopyCommand); ok {
			for _, source := range c.SourcePaths {
				if _, err := os.Stat(filepath.Join(root, source)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if toolchain != "auto" {
		t.Errorf("it is built with the toolchain %q, whatever go.mod asks for", toolchain)
	}
}
