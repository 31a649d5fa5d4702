// Kernels on packed genotypes. A word holds the two-bit codes of 32 people, the first in the
// lowest bits: 0, 1 or 2 copies of the ALT, 3 where the call is missing. A row is a whole number
// of words; codes after its last person are 0.
//
// No kernel uses shared memory or lets threads of a warp talk: each can be compiled for the host
// and run thread by thread. All sums are of integers, so the order of threads changes nothing.

typedef unsigned long long word;

#define LOW_BITS 0x5555555555555555ull
#define PEOPLE_PER_WORD 32
#define BITS_PER_WORD 64

// The 32 bits at even places, moved together.
__device__ inline word even_bits(word bits) {
    bits &= LOW_BITS;
    bits = (bits | (bits >> 1)) & 0x3333333333333333ull;
    bits = (bits | (bits >> 2)) & 0x0F0F0F0F0F0F0F0Full;
    bits = (bits | (bits >> 4)) & 0x00FF00FF00FF00FFull;
    bits = (bits | (bits >> 8)) & 0x0000FFFF0000FFFFull;
    return (bits | (bits >> 16)) & 0x00000000FFFFFFFFull;
}

__device__ inline long long overlap(word a, word b) { return __popcll(a & b); }

// Tile (n_rows, 32 * n_words) of one plane: dosages, missing calls, or squared dosages (0, 1, 2). Neighbouring threads are
// neighbouring people: 32 of them read one word and write next to each other.
template <typename Real>
__device__ inline void decode(const word *__restrict__ words, const long long *__restrict__ rows,
                              long long n_rows, long long n_words, int plane,
                              Real *__restrict__ tile) {
    const long long people = PEOPLE_PER_WORD * n_words;
    const long long person = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (person >= people) return;
    for (long long row = blockIdx.y; row < n_rows; row += gridDim.y) {
        const word here = words[rows[row] * n_words + person / PEOPLE_PER_WORD];
        const unsigned code = (unsigned)(here >> (2 * (person % PEOPLE_PER_WORD))) & 3u;
        const unsigned dosage = code == 3u ? 0u : code;
        const unsigned value = plane == 1 ? code == 3u : (plane == 2 ? dosage * dosage : dosage);
        tile[row * people + person] = (Real)value;
    }
}

extern "C" {

__global__ void decode_float32(const word *__restrict__ words, const long long *__restrict__ rows,
                               long long n_rows, long long n_words, int plane,
                               float *__restrict__ tile) {
    decode<float>(words, rows, n_rows, n_words, plane, tile);
}

__global__ void decode_float64(const word *__restrict__ words, const long long *__restrict__ rows,
                               long long n_rows, long long n_words, int plane,
                               double *__restrict__ tile) {
    decode<double>(words, rows, n_rows, n_words, plane, tile);
}

// Adds to result (rows, n_groups, 3) the people of each group with code 1, 2 and 3. The threads
// along x share a row: neighbours read neighbouring words. A mask has both bits set at its people.
__global__ void count_groups(const word *__restrict__ words, const word *__restrict__ masks,
                             long long rows, long long n_words, long long n_groups,
                             unsigned long long *__restrict__ result) {
    const long long row = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    for (long long group = blockIdx.y; group < n_groups; group += gridDim.y) {
        unsigned long long low = 0, high = 0, both = 0;
        for (long long index = threadIdx.x; index < n_words; index += blockDim.x) {
            const word here = words[row * n_words + index] & masks[group * n_words + index];
            low += __popcll(here & LOW_BITS);
            high += __popcll(here & ~LOW_BITS);
            both += __popcll(here & (here >> 1) & LOW_BITS);
        }
        unsigned long long *const target = result + 3 * (row * n_groups + group);
        // Most rows are rare and complete: most threads have nothing to add.
        if (low != both) atomicAdd(target, low - both);
        if (high != both) atomicAdd(target + 1, high - both);
        if (both) atomicAdd(target + 2, both);
    }
}

// Bit planes (3, n_planes, rows) of the people in the mask: heterozygous, homozygous for the ALT,
// called; a plane word is 64 people. Rows lie next to each other because pairs of rows are counted
// by neighbouring threads.
__global__ void row_planes(const word *__restrict__ words, const word *__restrict__ mask,
                           long long rows, long long n_words, long long n_planes,
                           word *__restrict__ planes) {
    const long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    for (long long plane = blockIdx.y; plane < n_planes; plane += gridDim.y) {
        word het = 0, hom_alt = 0, called = 0;
        for (int half = 0; half < 2 && 2 * plane + half < n_words; half++) {
            const long long index = 2 * plane + half;
            const word low = words[row * n_words + index];
            const word high = low >> 1;
            het |= even_bits(low & ~high & mask[index]) << (PEOPLE_PER_WORD * half);
            hom_alt |= even_bits(~low & high & mask[index]) << (PEOPLE_PER_WORD * half);
            called |= even_bits(~(low & high) & mask[index]) << (PEOPLE_PER_WORD * half);
        }
        planes[plane * rows + row] = het;
        planes[(n_planes + plane) * rows + row] = hom_alt;
        planes[(2 * n_planes + plane) * rows + row] = called;
    }
}

// The same planes (3, n_planes, people) with people next to each other; a plane word is 64 rows.
__global__ void person_planes(const word *__restrict__ words, long long rows, long long n_words,
                              long long people, long long n_planes, word *__restrict__ planes) {
    const long long person = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (person >= people) return;
    const long long index = person / PEOPLE_PER_WORD;
    const int shift = (int)(2 * (person % PEOPLE_PER_WORD));
    for (long long plane = blockIdx.y; plane < n_planes; plane += gridDim.y) {
        word het = 0, hom_alt = 0, called = 0;
        const long long first = BITS_PER_WORD * plane;
        for (int bit = 0; bit < BITS_PER_WORD && first + bit < rows; bit++) {
            const word code = (words[(first + bit) * n_words + index] >> shift) & 3u;
            het |= (word)(code == 1) << bit;
            hom_alt |= (word)(code == 2) << bit;
            called |= (word)(code != 3) << bit;
        }
        planes[plane * people + person] = het;
        planes[(n_planes + plane) * people + person] = hom_alt;
        planes[(2 * n_planes + plane) * people + person] = called;
    }
}

// Fields of the banded gram, (6, n, band), of rows first to first + n - 1 with themselves and the
// band - 1 rows after each; entries past the last row are left alone.
__global__ void fill_gram(const word *__restrict__ planes, long long rows, long long n_planes,
                          long long first, long long n, long long band,
                          long long *__restrict__ result) {
    const long long pair = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (pair >= n * band) return;
    const long long a = first + pair / band;
    const long long b = a + pair % band;
    if (b >= rows) return;
    const word *const hets = planes;
    const word *const homs = hets + n_planes * rows;
    const word *const calls = homs + n_planes * rows;
    long long both = 0, het_a = 0, hom_a = 0, het_b = 0, hom_b = 0, product = 0;
    for (long long plane = 0; plane < n_planes; plane++) {
        const long long at_a = plane * rows + a, at_b = plane * rows + b;
        const word one_a = hets[at_a], two_a = homs[at_a], called_a = calls[at_a];
        const word one_b = hets[at_b], two_b = homs[at_b], called_b = calls[at_b];
        both += overlap(called_a, called_b);
        het_a += overlap(one_a, called_b);
        hom_a += overlap(two_a, called_b);
        het_b += overlap(one_b, called_a);
        hom_b += overlap(two_b, called_a);
        // A person has one genotype per row, so the two mixed cases never share a bit.
        product += overlap(one_a, one_b) + 2 * __popcll((one_a & two_b) | (two_a & one_b)) +
                   4 * overlap(two_a, two_b);
    }
    const long long field = n * band;
    result[pair] = both;
    result[field + pair] = het_a + 2 * hom_a;
    result[2 * field + pair] = het_b + 2 * hom_b;
    result[3 * field + pair] = het_a + 4 * hom_a;
    result[4 * field + pair] = het_b + 4 * hom_b;
    result[5 * field + pair] = product;
}

// Genotypes (people, n_groups, 3) of each person with code 1, 2 and 3, over the rows of each group.
// A mask (n_groups, n_planes) has the bits of a group's rows.
__global__ void count_person_groups(const word *__restrict__ planes, const word *__restrict__ masks,
                                    long long people, long long n_planes, long long n_groups,
                                    long long *__restrict__ result) {
    const long long person = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (person >= people) return;
    const word *const hets = planes;
    const word *const homs = hets + n_planes * people;
    const word *const calls = homs + n_planes * people;
    for (long long group = blockIdx.y; group < n_groups; group += gridDim.y) {
        long long het = 0, hom_alt = 0, missing = 0;
        for (long long plane = 0; plane < n_planes; plane++) {
            const word rows = masks[group * n_planes + plane];
            const long long at = plane * people + person;
            het += overlap(hets[at], rows);
            hom_alt += overlap(homs[at], rows);
            missing += overlap(~calls[at], rows);
        }
        long long *const target = result + 3 * (person * n_groups + group);
        target[0] = het;
        target[1] = hom_alt;
        target[2] = missing;
    }
}

// Fields of the pair counts, (5, n, n_others), of people first to first + n - 1 with people
// other to other + n_others - 1.
__global__ void fill_pair_counts(const word *__restrict__ planes, long long people,
                                 long long n_planes, long long first, long long n,
                                 long long other, long long n_others,
                                 long long *__restrict__ result) {
    const long long pair = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (pair >= n * n_others) return;
    const long long i = first + pair / n_others;
    const long long j = other + pair % n_others;
    const word *const hets = planes;
    const word *const homs = hets + n_planes * people;
    const word *const calls = homs + n_planes * people;
    long long observed = 0, ibs0 = 0, het_het = 0, het = 0, het_other = 0;
    for (long long plane = 0; plane < n_planes; plane++) {
        const long long at_i = plane * people + i, at_j = plane * people + j;
        const word one_i = hets[at_i], two_i = homs[at_i], called_i = calls[at_i];
        const word one_j = hets[at_j], two_j = homs[at_j], called_j = calls[at_j];
        const word none_i = called_i & ~one_i & ~two_i, none_j = called_j & ~one_j & ~two_j;
        observed += overlap(called_i, called_j);
        ibs0 += __popcll((none_i & two_j) | (two_i & none_j));
        het_het += overlap(one_i, one_j);
        het += overlap(one_i, called_j);
        het_other += overlap(called_i, one_j);
    }
    const long long field = n * n_others;
    result[pair] = observed;
    result[field + pair] = ibs0;
    result[2 * field + pair] = het_het;
    result[3 * field + pair] = het;
    result[4 * field + pair] = het_other;
}

}  // extern "C"
