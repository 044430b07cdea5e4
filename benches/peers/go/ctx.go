package main

import (
	"context"
	"time"
)

// The number of children of each inner node of the tree.
const childContexts = 100

var ctxWorkloads = []workload{
	each("ctx_timeout_cancel", 500_000, timeoutCancel),
	wholeMicros("ctx_tree_10k", func() time.Duration { return cancelTree(func(context.Context) {}) }),
	wholeMicros("ctx_tree_10k_done", func() time.Duration {
		return cancelTree(func(leaf context.Context) { leaf.Done() })
	}),
}

func timeoutCancel(count int) time.Duration {
	background := context.Background()
	start := time.Now()
	for range count {
		_, cancel := context.WithTimeout(background, time.Hour)
		cancel()
	}
	return time.Since(start)
}

// Cancels the root of a tree. Before that, prepare is called with each leaf.
func cancelTree(prepare func(leaf context.Context)) time.Duration {
	root, cancelRoot := context.WithCancel(context.Background())
	leaves := make([]context.Context, 0, childContexts*childContexts)
	for range childContexts {
		child, cancelChild := context.WithCancel(root)
		defer cancelChild()
		for range childContexts {
			leaf, cancelLeaf := context.WithCancel(child)
			defer cancelLeaf()
			prepare(leaf)
			leaves = append(leaves, leaf)
		}
	}
	start := time.Now()
	cancelRoot()
	elapsed := time.Since(start)
	for _, leaf := range leaves {
		if leaf.Err() == nil {
			panic("a leaf was left out")
		}
	}
	return elapsed
}
