package topology

import (
	"runtime"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// tree makes a file system of the given files.
func tree(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func nodeTree(lists ...string) fstest.MapFS {
	files := map[string]string{"sys/devices/system/node/possible": "0-1\n", "sys/devices/system/node/nodes": "x"}
	for i, l := range lists {
		files["sys/devices/system/node/node"+strconv.Itoa(i)+"/cpulist"] = l + "\n"
	}
	return tree(files)
}

func TestNodes(t *testing.T) {
	upTo := func(n int) []int {
		cpus := make([]int, n)
		for i := range cpus {
			cpus[i] = i
		}
		return cpus
	}
	tests := []struct {
		name string
		root fstest.MapFS
		cpus []int
		want [][]int
	}{
		{"no sysfs", tree(nil), []int{0, 3}, [][]int{{0, 3}}},
		{"one node", nodeTree("0-3"), upTo(4), [][]int{{0, 1, 2, 3}}},
		{"two sockets with hyperthreads", nodeTree("0-1,4-5", "2-3,6-7"), upTo(8), [][]int{{0, 1, 4, 5}, {2, 3, 6, 7}}},
		{"mask leaves one node", nodeTree("0-3", "4-7"), []int{5, 6}, [][]int{{5, 6}}},
		{"mask leaves parts of both", nodeTree("0-3", "4-7"), []int{3, 4}, [][]int{{3}, {4}}},
		{"node of memory alone", nodeTree("0-1", "", "2-3"), upTo(4), [][]int{{0, 1}, {2, 3}}},
		{"CPU without a node", nodeTree("1", "2-3"), upTo(4), [][]int{{0, 1}, {2, 3}}},
		{"broken list", nodeTree("0-x", "2-3"), upTo(4), [][]int{{0, 1, 2, 3}}},
		{"node 10 after node 2", nodeTree("9", "", "2", "", "", "", "", "", "", "", "1"), []int{1, 2, 9}, [][]int{{9}, {2}, {1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Read(tt.root, tt.cpus)
			require.Equal(t, tt.want, m.Nodes)
			require.Equal(t, tt.cpus, m.CPUs)
			for i, node := range tt.want {
				for _, cpu := range node {
					require.Equal(t, i, m.Of(cpu))
				}
			}
			require.Zero(t, m.Of(99))
		})
	}
}

func TestParseList(t *testing.T) {
	for text, want := range map[string][]int{
		"": nil, "\n": nil, "0": {0}, "0-2,8,10-11\n": {0, 1, 2, 8, 10, 11},
	} {
		got, err := parseList(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"a", "1-", "-1", "3-2", "1,,2", "0-99999999"} {
		_, err := parseList(text)
		require.ErrorIs(t, err, errList, text)
	}
}

const (
	mountV2 = "24 1 0:21 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1 = "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
	// A container of version 1 sees only its own group mounted.
	mountDocker = "33 31 0:30 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
)

func TestQuota(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"nothing", nil, 0},
		{"no mounts", map[string]string{"proc/self/cgroup": "0::/a\n"}, 0},
		{"v2 without limit", map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": mountV2, "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, 0},
		{"v2", map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2, "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5},
		{"v2, the parent grants less", map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/b/cpu.max": "400000 100000\n", "sys/fs/cgroup/a/cpu.max": "50000 50000\n"}, 1},
		{"v2 in a namespace of its own", map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2, "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3},
		{"v2, group outside the mounted part", map[string]string{
			"proc/self/cgroup": "0::/../other\n", "proc/self/mountinfo": mountV2, "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2},
		{"v1", map[string]string{
			"proc/self/cgroup": "5:cpuset:/x\n4:cpu,cpuacct:/slice/job\n", "proc/self/mountinfo": mountV1,
			"sys/fs/cgroup/cpu,cpuacct/slice/job/cpu.cfs_quota_us": "250000\n", "sys/fs/cgroup/cpu,cpuacct/slice/job/cpu.cfs_period_us": "100000\n"}, 2.5},
		{"v1 without limit", map[string]string{
			"proc/self/cgroup": "4:cpu,cpuacct:/\n", "proc/self/mountinfo": mountV1,
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 0},
		{"v1, no period", map[string]string{
			"proc/self/cgroup": "4:cpu,cpuacct:/\n", "proc/self/mountinfo": mountV1, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n"}, 0},
		{"v1, part of the tree is mounted", map[string]string{
			"proc/self/cgroup": "4:cpu:/docker/abc/in\n", "proc/self/mountinfo": mountDocker,
			"sys/fs/cgroup/cpu/in/cpu.cfs_quota_us": "70000\n", "sys/fs/cgroup/cpu/in/cpu.cfs_period_us": "100000\n"}, 0.7},
		{"both versions", map[string]string{
			"proc/self/cgroup": "4:cpu,cpuacct:/g\n0::/g\n", "proc/self/mountinfo": mountV1 + mountV2,
			"sys/fs/cgroup/cpu,cpuacct/g/cpu.cfs_quota_us": "100000\n", "sys/fs/cgroup/cpu,cpuacct/g/cpu.cfs_period_us": "50000\n",
			"sys/fs/cgroup/g/cpu.max": "300000 100000\n"}, 2},
		{"space in the mount point", map[string]string{
			"proc/self/cgroup": "0::/g\n", "proc/self/mountinfo": `30 23 0:26 / /c\040g rw - cgroup2 cgroup2 rw` + "\n",
			"c g/g/cpu.max": "100000 100000\n"}, 1},
		{"broken files", map[string]string{
			"proc/self/cgroup": "0::/g\nbroken\n", "proc/self/mountinfo": "short - line\n" + mountV2, "sys/fs/cgroup/g/cpu.max": "100000\n",
			"sys/fs/cgroup/cpu.max": "x 100000\n"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, Read(tree(tt.files), []int{0}).Quota)
		})
	}
}

func TestThreads(t *testing.T) {
	m := Machine{CPUs: []int{0, 1, 2, 3}}
	require.Equal(t, 4, m.Threads(8))
	require.Equal(t, 3, m.Threads(3))
	require.Equal(t, 1, m.Threads(0))
	m.Quota = 2.01
	require.Equal(t, 3, m.Threads(8))
	m.Quota = 0.2
	require.Equal(t, 1, m.Threads(8))
}

func TestHere(t *testing.T) {
	m := Here()
	require.NotEmpty(t, m.CPUs)
	var inNodes int
	for _, n := range m.Nodes {
		require.NotEmpty(t, n)
		inNodes += len(n)
	}
	require.Equal(t, len(m.CPUs), inNodes)
	require.GreaterOrEqual(t, m.Quota, 0.0)
	require.LessOrEqual(t, m.Threads(runtime.GOMAXPROCS(0)), runtime.GOMAXPROCS(0))
}
