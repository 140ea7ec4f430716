// Package cuda holds the device code of the backend "cuda".
package cuda
