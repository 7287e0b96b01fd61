//go:build linux

package inside

import (
	"os"
	"testing"
)

func TestSetUpRefusesTheHostsNamespaces(t *testing.T) {
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]string{"mnt": "mnt:[1]", "pid": "pid:[1]", "user": "user:[1]"}
	cases := map[string]map[string]string{"nothing told": {}}
	for _, name := range namespaceNames() {
		own, err := namespace(name)
		if err != nil || own == "" {
			t.Fatalf("namespace(%s) = %q, %v; want its identity", name, own, err)
		}
		told := map[string]string{}
		for k, v := range others {
			told[k] = v
		}
		told[name] = own
		cases["the same "+name] = told
	}
	for name, told := range cases {
		t.Run(name, func(t *testing.T) {
			for k, v := range told {
				t.Setenv(outsidePrefix+k, v)
			}
			if apart() == nil {
				t.Fatal("apart = nil, want a refusal") // prepareRoot must not be tried then
			}
			if err := prepareRoot(false); err == nil {
				t.Error("prepareRoot = nil, want a refusal")
			}
		})
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || string(after) != string(before) {
		t.Errorf("mounts are now\n%s(%v), want them as before", after, err)
	}
	for k, v := range others {
		t.Setenv(outsidePrefix+k, v)
	}
	if err := apart(); err != nil {
		t.Errorf("apart, in other namespaces than those told: %v", err)
	}
}
