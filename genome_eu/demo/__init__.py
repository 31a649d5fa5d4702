"""The demonstration: public genotypes of four countries as four sites, in four processes."""
