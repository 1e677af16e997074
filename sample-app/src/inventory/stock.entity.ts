import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What there is of a product. `available + reserved + sold = initial`, always; the database checks it too. */
@Entity('stock')
export class Stock {
  @PrimaryColumn({ type: 'text' })
  product!: string;

  @Column({ type: 'integer' })
  initial!: number;

  @Column({ type: 'integer' })
  available!: number;

  @Column({ type: 'integer' })
  reserved!: number;

  @Column({ type: 'integer' })
  sold!: number;
}
