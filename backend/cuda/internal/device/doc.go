// Package device is the contract's device, memory, streams, events and the
// lifetime of layers over a driver of package driver, real or emulated, and the
// plans of that driver's dense products. It knows no kernels: those come with the
// Backend's table.
//
// A device error that the driver calls sticky is kept: from then on every use
// of the device is backend.ErrDeviceLost with the first error's text.
package device
