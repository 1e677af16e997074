import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What there is of a product. `available + reserved + sold = initial`, always; the database checks it too. */
@Entity('stock')
export class Stock {
  @ApiProperty()
  @PrimaryColumn({ type: 'text' })
  product!: string;

  @ApiProperty()
  @Column({ type: 'integer' })
  initial!: number;

  @ApiProperty()
  @Column({ type: 'integer' })
  available!: number;

  @ApiProperty()
  @Column({ type: 'integer' })
  reserved!: number;

  @ApiProperty()
  @Column({ type: 'integer' })
  sold!: number;
}
