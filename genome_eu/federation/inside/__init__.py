"""Inside a site: its people and rows as plans ask of them, whom answers expose, what is kept."""
