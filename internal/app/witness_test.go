package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// runWitness is a lambda function that hesitates, sometimes fails, and writes every attempt that it made into a file which no node
// knows of: who it was (its process and those above it), the input, its key, when it began, when it ended, and whether it failed.
func runWitness(path string) int {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	family := strings.Join(ancestors(os.Getpid()), ",")
	err = serveLambda(func(body []byte) (int, []byte) {
		began := time.Now().UnixNano()
		var in struct{ ID, PartitionKey string }
		if err := json.Unmarshal(body, &in); err != nil {
			return http.StatusBadRequest, []byte(`{"errorType":"Bad","errorMessage":"no event"}`)
		}
		<-time.After(rand.N(4 * time.Millisecond))
		failed := rand.IntN(20) == 0
		// One write of less than a page: lines of several processes do not mix.
		if _, err := fmt.Fprintf(file, "%s %s %s %d %d %t\n", family, in.ID, in.PartitionKey, began, time.Now().UnixNano(), failed); err != nil {
			return http.StatusInternalServerError, []byte(`{"errorType":"File","errorMessage":"cannot write"}`)
		}
		if failed {
			return http.StatusInternalServerError, []byte(`{"errorType":"Chance","errorMessage":"one in twenty"}`)
		}
		out, err := json.Marshal(map[string]any{"specversion": "1.0", "id": "x", "source": "/witness", "type": "seen", "partitionkey": in.PartitionKey, "data": in.ID})
		if err != nil {
			return http.StatusInternalServerError, []byte(err.Error())
		}
		return http.StatusOK, out
	})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// ancestors are a process and those above it.
func ancestors(pid int) []string {
	var list []string
	for pid > 1 {
		list = append(list, strconv.Itoa(pid))
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			break
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // the name may have spaces
		pid, _ = strconv.Atoi(fields[1])
	}
	return list
}

// freeze is a time in which a node was stopped, and the time after that in which it could not know yet.
type freeze struct {
	pid      string
	from, to int64
}

// witnessed reads what the functions wrote. nodes are the processes of all nodes that there were.
func witnessed(t *testing.T, path string, nodes []string, frozen []freeze) []stretch {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var attempts []stretch
	for lines := bufio.NewScanner(file); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 6 {
			t.Fatalf("the witness wrote %q", lines.Text())
		}
		began, _ := strconv.ParseInt(f[3], 10, 64)
		ended, _ := strconv.ParseInt(f[4], 10, 64)
		a := stretch{id: f[1], key: f[2], began: began, ended: ended, failed: f[5] == "true"}
		family := strings.Split(f[0], ",")
		if i := slices.IndexFunc(family, func(pid string) bool { return slices.Contains(nodes, pid) }); i >= 0 {
			a.node = family[i]
		}
		a.frozen = slices.ContainsFunc(frozen, func(z freeze) bool {
			return slices.Contains(family, z.pid) && began < z.to && ended > z.from
		})
		attempts = append(attempts, a)
	}
	return attempts
}
