package server

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tillbook/tillbook/server/rpc"
)

// The load balancer's configuration names the calls that may take long. It gives up on
// all others soon after the server's longest deadline.
func TestTheLoadBalancerWaitsForWhatTakesLong(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("../examples/cluster/haproxy/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`set-timeout server \S+ if \{ path -m reg (\S+) \}`).FindSubmatch(config)
	if found == nil {
		t.Fatal("haproxy.cfg has no timeout of its own for streams")
	}
	patient := regexp.MustCompile(string(found[1]))
	for procedure, policy := range rpc.Policies {
		if !strings.HasPrefix(procedure, "/tillbook.") {
			continue
		}
		name := strings.ReplaceAll(procedure[1:], "/", ".")
		described, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		method := described.(protoreflect.MethodDescriptor)
		long := policy.Timeout > 0 || method.IsStreamingClient() || method.IsStreamingServer()
		if patient.MatchString(procedure) != long {
			t.Errorf("%s may take long: %v; the load balancer thinks otherwise", procedure, long)
		}
	}
}
